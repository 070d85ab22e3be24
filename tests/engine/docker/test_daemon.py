import socket
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError

from harness.base.error import UsageError
from harness.engine.docker.daemon import Daemon

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


def test_a_bad_docker_host_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "gopher://x")
    assert "DOCKER_HOST" in message(Daemon())


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
