import hashlib
import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from docker.errors import APIError

from harness.base.error import EngineError, StoppedError, UsageError
from harness.engine import resources
from harness.engine.docker.daemon import Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.resources import Resources
from harness.run import machine

UUID = "GPU-1c2d"


def fake(info: dict[str, Any] | None = None, version: dict[str, Any] | None = None) -> Daemon:
    """A daemon that says this, and is never asked."""
    daemon = Daemon()
    daemon.__dict__.update(
        info=info or {}, version=version or {"ApiVersion": "1.41"}, address="tcp://gpu-host:2376"
    )
    return daemon


def message(daemon: Daemon, gpu: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        daemon.check() if gpu is None else daemon.check_gpu(gpu)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("address", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"])
def test_says_what_to_do_when_nothing_listens(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    text = message(Daemon())
    assert "nothing listens at" in text
    assert address.rpartition("/")[2] in text
    assert "start Docker" in text


def test_says_what_to_do_without_permission() -> None:
    problem = requests.ConnectionError(PermissionError(13, "Permission denied"))
    assert "docker group" in fake().explain(problem)


def test_a_certificate_that_is_not_trusted_is_no_lack_of_permission() -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed")
    said = fake().explain(requests.exceptions.SSLError(urllib3.exceptions.SSLError(refused)))
    assert "docker group" not in said
    assert "certificate verify failed" in said


def test_a_bad_docker_host_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "gopher://x")
    assert "DOCKER_HOST" in message(Daemon())


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Docker's own files: a context `there`, one that names no daemon, one that is broken."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    for name, endpoints in (
        ("there", {"docker": {"Host": "unix:///nonexistent/there.sock"}}),
        ("cluster", {"kubernetes": {"Host": "https://cluster"}}),
        ("broken", None),
    ):
        place = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        place.mkdir(parents=True)
        content = {"Name": name, "Metadata": {}, "Endpoints": endpoints}
        (place / "meta.json").write_text("{" if endpoints is None else json.dumps(content))
    return tmp_path


@pytest.mark.parametrize("name", ["thre", "cluster", "broken", "There", "../there"])
@pytest.mark.parametrize("place", ["variable", "configuration"])
def test_a_context_that_names_no_daemon_is_not_the_default_one(
    contexts: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str
) -> None:
    if place == "variable":
        monkeypatch.setenv("DOCKER_CONTEXT", name)
    else:
        (contexts / "config.json").write_text(json.dumps({"currentContext": name}))
    for refuses in (Daemon().check, DockerEngine().check_settings):
        with pytest.raises(UsageError) as caught:
            refuses()
        assert f"Docker context {name!r}: " in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(
        UsageError, match="Docker context"
    ):  # nor is it a reason for the venv engine
        machine.choose_engine("auto", (), contexts / "cache")


@pytest.mark.parametrize("name", ["there", "default", ""])
def test_a_context_that_is_there_is_taken(
    contexts: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", name)
    Daemon().check_settings()
    if name == "there":
        assert "nothing listens at unix:///nonexistent/there.sock" in message(Daemon())


def test_docker_host_goes_before_the_context(
    contexts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "thre")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/host.sock")
    Daemon().check_settings()
    assert "nothing listens at unix:///nonexistent/host.sock" in message(Daemon())


@pytest.mark.parametrize("address", ["gopher://x", "tcp://", "tcp://host", "tcp://host:port"])
def test_an_address_that_is_none_is_no_reason_for_another_engine(
    contexts: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(UsageError, match="DOCKER_HOST") as caught:
        machine.choose_engine("auto", (), contexts / "cache")
    assert "\n" not in str(caught.value)


def test_something_else_behind_the_socket_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        listener.close()
        assert "nothing listens at" in message(Daemon())


def test_an_old_daemon_is_refused() -> None:
    assert "1.39" in message(fake(version={"ApiVersion": "1.39"}))


def test_an_answer_of_the_daemon_is_its_own_words() -> None:
    problem = APIError("500", explanation="no such image: x\n")
    assert fake().explain(problem) == "no such image: x"


def test_a_file_of_ours_is_not_blamed_on_the_daemon() -> None:
    problem = FileNotFoundError(2, "No such file or directory", "/run/x.log")
    assert "/run/x.log" in fake().explain(problem)
    assert "nothing listens" not in fake().explain(problem)


def test_without_the_toolkit_the_gpu_is_refused_with_what_to_install() -> None:
    text = message(fake({"Runtimes": {"runc": {}}}), UUID)
    assert "nvidia-container-toolkit" in text
    assert "GPU=none" in text
    assert UUID in text


def test_podman_is_refused_for_gpus() -> None:
    version = {"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
    assert "Podman" in message(fake({"Runtimes": {"nvidia": {}}}, version), UUID)


def test_cdi_devices_that_do_not_name_the_gpu_are_refused() -> None:
    info = {"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=GPU-other"}]}
    assert "nvidia-ctk cdi generate" in message(fake(info), UUID)


def test_the_gpu_is_requested_by_uuid() -> None:
    daemon = fake({"Runtimes": {"nvidia": {}}})
    daemon.check_gpu(UUID)
    (request,) = daemon.device_requests(UUID)
    assert request == {
        "Driver": "",
        "Count": 0,
        "DeviceIDs": [UUID],
        "Capabilities": [["gpu", "compute", "utility"]],
        "Options": {},
    }


def test_the_gpu_is_requested_by_cdi_name_where_only_that_is_known() -> None:
    daemon = fake({"DiscoveredDevices": [{"Source": "cdi", "ID": f"nvidia.com/gpu={UUID}"}]})
    daemon.check_gpu(UUID)
    (request,) = daemon.device_requests(UUID)
    assert (request.driver, request.device_ids) == ("cdi", [f"nvidia.com/gpu={UUID}"])


def test_security_options_are_matched_by_name() -> None:
    daemon = fake({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]})
    assert daemon.has_security_option("rootless")
    assert not daemon.has_security_option("selinux")


@pytest.mark.parametrize(
    "answer",
    [
        'could not select device driver "" with capabilities: [[gpu]]',
        "OCI runtime create failed: error running hook #0: nvidia-container-cli: device error:"
        " GPU-1c2d: unknown device\n",
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=GPU-1c2d",
        "error gathering device information: could not find nvidia.com/gpu: CDI registry is empty",
        "unknown or invalid runtime name: nvidia",
    ],
)
def test_a_fault_of_the_toolkit_says_what_can_be_done(answer: str) -> None:
    said = fake().explain(APIError("500", explanation=answer))
    assert answer.strip() in said
    assert "NVIDIA container toolkit" in said
    assert "ENGINE=venv" in said
    assert "\n" not in said


def test_another_fault_is_not_blamed_on_the_toolkit() -> None:
    problem = APIError("500", explanation="no space left on device")
    assert fake().explain(problem) == "no space left on device"


def engine_of(daemon: Daemon) -> DockerEngine:
    engine = DockerEngine()
    engine._daemon = daemon
    return engine


def test_a_remote_daemons_machine_has_what_it_says() -> None:
    info = {"NCPU": 4096, "MemTotal": 2**50}
    assert engine_of(fake(info)).resources() == Resources(4096, 2**50)


def test_a_local_daemon_has_no_more_than_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources, "of_host", lambda: Resources(2, 8 * 2**30))
    large, small = fake({"NCPU": 64, "MemTotal": 2**40}), fake({"NCPU": 1, "MemTotal": 2**30})
    for daemon in (large, small):
        daemon.__dict__["address"] = "unix:///var/run/docker.sock"
    assert engine_of(large).resources() == Resources(2, 8 * 2**30)
    assert engine_of(small).resources() == Resources(1, 2**30), "the machine of Docker Desktop"


def test_a_daemon_that_does_not_tell_what_it_has_is_an_engine_error() -> None:
    with pytest.raises(EngineError) as caught:
        engine_of(fake({"Driver": "overlay2"})).resources()
    assert "\n" not in str(caught.value)


@pytest.mark.docker
def test_a_real_daemon_tells_what_its_machine_has(daemon: Daemon) -> None:
    found = daemon.resources
    assert found.cores >= 1
    assert found.memory_bytes > 2**28
    mine = DockerEngine().resources()
    assert 1 <= mine.cores <= found.cores
    assert mine.memory_bytes <= found.memory_bytes


def test_a_broken_call_raises_its_own_error() -> None:
    daemon = fake()
    daemon.__dict__["address"] = "unix:///x"

    def ask(client: Any) -> Any:
        yield {"stream": "first"}
        raise APIError("500", explanation="it broke")

    events = daemon.events(ask, threading.Event())
    assert next(events) == {"stream": "first"}
    with pytest.raises(APIError, match="it broke"):
        next(events)


def test_a_call_that_says_nothing_is_left_when_the_run_is_stopped() -> None:
    waits, cancel = threading.Event(), threading.Event()

    def ask(client: Any) -> Any:
        waits.set()
        threading.Event().wait(30)
        yield {}

    def stop() -> None:
        waits.wait(30)
        cancel.set()

    threading.Thread(target=stop).start()
    with pytest.raises(StoppedError):
        list(fake().events(ask, cancel))
