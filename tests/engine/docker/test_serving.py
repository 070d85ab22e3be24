"""Serving phases of the Docker engine: two real containers on a network of their own."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker import APIClient

from harness.engine import serving
from harness.engine.docker import container
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Client, Environment, Exit, Launch
from harness.measure.target import Target
from harness.record.models import Outcome
from tests.engine import serving_cases
from tests.engine.serving_cases import ASK, CASES, CLIENT, Case
from tests.paths import ROOT

MIB = 2**20

Make = Callable[..., Launch]


@pytest.fixture
def make(tmp_path: Path, base_image: str, daemon: Daemon) -> Iterator[Make]:
    """Makes a launch of a server and a client; what a test leaves behind is removed."""
    run = f"test-{os.getpid()}-{tmp_path.name}"

    def make(server: str = serving_cases.server(), client: str = ASK + "ask()") -> Launch:
        for name in ("scenarios", "data", "input", "output", "logs/client/artifacts"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "scenarios" / "serve.py").write_text(server)
        (tmp_path / "scenarios" / "client.py").write_text(client)
        (tmp_path / "input" / "model").write_text("weights")
        logs = tmp_path / "logs"
        return Launch(
            key="family.scenario.serve",
            run_id=run,
            environment=Environment("flavor", base_image),
            script="serve.py",
            variables={"LMS_PROVIDER": "builtin", "ACCELERATOR": "virtual"},
            scenarios=tmp_path / "scenarios",
            data=tmp_path / "data",
            input=tmp_path / "input",
            output=tmp_path / "output",
            logs=logs,
            deadline_s=30,
            memory=256 * MIB,
            client=Client("client.py", logs / "client/artifacts", logs / "client"),
        )

    yield make
    client = daemon.client()
    filters = {"label": f"{LABEL}.run={run}"}
    for entry in client.containers(all=True, filters=filters):
        client.remove_container(entry["Id"], force=True)
    for entry in client.networks(filters=filters):
        client.remove_network(entry["Id"])


def execute(launch: Launch, **arguments: object) -> Exit:
    arguments = {"grace_s": serving_cases.GRACE_S, **arguments}
    engine = DockerEngine(**arguments)  # type: ignore[arg-type]
    return engine.execute(launch, lambda target: None, threading.Event())


def client_log(launch: Launch) -> str:
    assert launch.client is not None
    return (launch.client.logs / "stdout.log").read_text()


def left(daemon: Daemon, launch: Launch) -> dict[str, list[str]]:
    """Containers and networks of the launch that are still there."""
    filters = {"label": f"{LABEL}.run={launch.run_id}"}
    client = daemon.client()
    return {
        "containers": [entry["Id"] for entry in client.containers(all=True, filters=filters)],
        "networks": [entry["Id"] for entry in client.networks(filters=filters)],
    }


NOTHING: dict[str, list[str]] = {"containers": [], "networks": []}


@pytest.mark.docker
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_end_is_told(
    make: Make, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setattr(serving, "READY_S", case.ready_s or serving.READY_S)
    launch = replace(make(case.server, case.client), **case.changes)
    ended = execute(launch)
    serving_cases.check(case, ended, launch.logs)
    assert left(daemon, launch) == NOTHING
    json.dumps(ended.details)


@pytest.mark.docker
def test_contract_of_server_and_client(make: Make) -> None:
    launch = replace(make(client=CLIENT), threads=1)
    ended = execute(launch)
    assert ended.outcome is Outcome.COMPLETED, ended.reason
    seen = json.loads(client_log(launch))
    server, client = seen["server"]["environ"], seen["client"]["environ"]
    assert (server["SERVER_HOST"], server["SERVER_PORT"]) == ("0.0.0.0", "5000")
    assert client["SERVER_URL"] == "http://server:5000"
    assert "SERVER_HOST" not in client
    assert "SERVER_URL" not in server
    assert (server["LMS_PROVIDER"], client["LMS_PROVIDER"]) == ("builtin", "off")
    assert client["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert client["OMP_NUM_THREADS"] == "1"
    assert launch.client is not None
    assert [path.name for path in launch.output.iterdir()] == ["server"]
    assert [path.name for path in launch.client.output.iterdir()] == ["client"]
    mine, beside = ended.details, ended.details["client"]
    assert mine["image"] == beside["image"] == launch.environment.handle
    assert mine["container"] != beside["container"]
    assert mine["limits"] == beside["limits"]
    assert mine["user"] == beside["user"]
    assert beside["state"]["ExitCode"] == 0


_LOOK_AROUND = (
    ASK
    + """
import pathlib, socket
def attempt(path):
    try:
        pathlib.Path(path, "probe").write_text("x")
        return "written"
    except OSError as problem:
        return problem.strerror
def connect(host, port):
    try:
        socket.create_connection((host, port), 1).close()
        return "connected"
    except OSError as problem:
        return "no"
ask()
addresses = os.environ["HOST_ADDRESSES"].split()
own = socket.gethostbyname(socket.gethostname())
gateway = own.rsplit(".", 1)[0] + ".1"
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "uid": os.getuid(),
    "capabilities": [int(status[name], 16) for name in ("CapEff", "CapBnd", "CapPrm")],
    "privileges": status["NoNewPrivs"].strip(),
    "writes": {path: attempt(path) for path in ("/", "/scenarios", "/data", "/input", "/tmp")},
    "model": open("/input/model").read(),
    "interfaces": sorted(os.listdir("/sys/class/net")),
    "host": [connect(host, int(os.environ["HOST_PORT"])) for host in [gateway, *addresses]],
    "world": [connect(host, 53) for host in ("1.1.1.1", "8.8.8.8")],
    "name": connect("example.org", 80),
    "first process": pathlib.Path("/proc/1/cmdline").read_bytes().split(b"\\0")[0].decode(),
}))
"""
)


@pytest.mark.docker
def test_a_client_sees_the_server_and_nothing_else(make: Make) -> None:
    # The host listens everywhere, as many a service of a host does.
    service = http.server.ThreadingHTTPServer(("0.0.0.0", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    addresses = {"172.17.0.1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks for the address on the way out
        addresses.add(probe.getsockname()[0])
    launch = make(client=_LOOK_AROUND)
    variables = {
        "HOST_PORT": str(service.server_address[1]),
        "HOST_ADDRESSES": " ".join(sorted(addresses)),
        "RES_OPTIONS": "timeout:1 attempts:1",
    }
    try:
        ended = execute(replace(launch, variables={**launch.variables, **variables}))
    finally:
        service.shutdown()
        service.server_close()
    assert ended.outcome is Outcome.COMPLETED, ended.reason
    seen = json.loads(client_log(launch))
    assert seen["host"] == ["no"] * (1 + len(addresses))
    assert seen["world"] == ["no", "no"]
    assert seen["name"] == "no"
    assert seen["interfaces"] == ["eth0", "lo"]
    assert seen["uid"] != 0
    assert seen["capabilities"] == [0, 0, 0]
    assert seen["privileges"] == "1"
    assert seen["model"] == "weights"
    assert seen["writes"].pop("/tmp") == "written"
    assert set(seen["writes"].values()) <= {"Read-only file system", "Permission denied"}
    assert "init" in seen["first process"]


@pytest.mark.docker
def test_two_serving_phases_at_once_do_not_meet(make: Make, tmp_path: Path) -> None:
    launches = []
    for number in range(2):
        for name in ("output", "client/artifacts"):
            (tmp_path / str(number) / name).mkdir(parents=True)
        place = tmp_path / str(number)
        launch = make(client=ASK + "print(ask()['environ']['N']); time.sleep(1)")
        launches.append(
            replace(
                launch,
                variables={"N": str(number)},
                output=place / "output",
                logs=place,
                client=Client("client.py", place / "client/artifacts", place / "client"),
            )
        )
    ends: list[Exit] = []
    threads = [
        threading.Thread(target=lambda launch=launch: ends.append(execute(launch)))
        for launch in launches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ended.outcome for ended in ends] == [Outcome.COMPLETED] * 2
    assert [client_log(launch) for launch in launches] == ["0\n", "1\n"]


@pytest.mark.docker
@pytest.mark.parametrize("where", ["server", "client"])
def test_a_kill_for_the_memory_limit_is_told_apart(make: Make, where: str) -> None:
    eat = "x = bytearray(512 * 2**20); x[::4096] = x[::4096]"
    if where == "server":
        launch = make(serving_cases.server(on_request=eat))
    else:
        launch = make(client=ASK + f"ask()\n{eat}")
    ended = execute(replace(launch, memory=64 * MIB))
    assert ended.outcome is Outcome.OUT_OF_MEMORY
    assert "memory limit" in ended.reason
    assert where in ended.reason


@pytest.mark.docker
def test_cancel_stops_both(make: Make, daemon: Daemon) -> None:
    launch, cancel = make(client="import time; time.sleep(60)"), threading.Event()
    when: list[float] = []
    targets: list[Target] = []

    def watch() -> None:
        for _ in range(200):
            if len(left(daemon, launch)["containers"]) == 2:
                break
            time.sleep(0.05)
        when.append(time.monotonic())
        cancel.set()

    thread = threading.Thread(target=watch)
    thread.start()
    ended = DockerEngine(grace_s=2).execute(launch, targets.append, cancel)
    thread.join()
    assert ended.outcome is Outcome.INTERRUPTED
    assert ended.details["client"] is not None
    assert time.monotonic() - when[0] < 10
    assert "asked to stop" in (launch.logs / "stdout.log").read_text()
    assert len(targets) == 1
    assert left(daemon, launch) == NOTHING


@pytest.mark.docker
def test_an_error_leaves_no_network(make: Make, daemon: Daemon) -> None:
    launch = replace(make(), environment=Environment("f", "sha256:" + "0" * 64))
    ended = execute(launch)
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "No such image" in ended.reason
    assert left(daemon, launch) == NOTHING


_DRIVER = """
import sys, threading
from pathlib import Path
from harness.engine.protocol import Client, Environment, Launch
from harness.engine.docker.engine import DockerEngine
root, image, run = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
launch = Launch(
    key="left", run_id=run, environment=Environment("f", image), script="serve.py", variables={},
    scenarios=root / "scenarios", data=root / "data", input=None, output=root / "output",
    logs=root / "logs", deadline_s=300,
    client=Client("client.py", root / "logs/client/artifacts", root / "logs/client"))
DockerEngine().execute(launch, lambda target: None, threading.Event())
"""


@pytest.mark.docker
def test_reap_removes_what_a_killed_driver_left(make: Make, daemon: Daemon, tmp_path: Path) -> None:
    launch = make(client="import time; print('up', flush=True); time.sleep(300)")
    arguments = [str(tmp_path), str(launch.environment.handle), launch.run_id]
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER, *arguments], cwd=ROOT)
    try:
        assert launch.client is not None
        log = launch.client.logs / "stdout.log"
        deadline = time.monotonic() + 30
        while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        DockerEngine().reap()
        there = left(daemon, launch)
        assert {kind: len(names) for kind, names in there.items()} == {
            "containers": 2,
            "networks": 1,
        }, "what a living driver uses was removed"
        network = daemon.client().inspect_network(there["networks"][0])
        assert network["Internal"]
        assert set(network["Containers"]) == set(there["containers"])
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        lines = [line for line in DockerEngine().reap() if launch.run_id in line]
        assert [line.split()[0] for line in lines] == ["container", "container", "network"]
        assert left(daemon, launch) == NOTHING
    finally:
        driver.kill()
        driver.wait()


@pytest.mark.docker
def test_a_shell_is_the_server_s_place_and_its_client_runs_there(
    make: Make, daemon: Daemon, tmp_path: Path
) -> None:
    launch = make(client=ASK + "print(ask()['environ']['SERVER_PORT'])")
    arguments = [str(tmp_path), str(launch.environment.handle), launch.run_id, "docker"]
    typed = """
        python3 /scenarios/serve.py > /tmp/log & server=$!
        until grep -q ready /tmp/log; do sleep 0.1; done
        SERVER_URL=http://127.0.0.1:5000 python3 /scenarios/client.py
        kill $server; wait $server; exit $?
    """
    done = subprocess.run(
        [sys.executable, "-c", serving_cases.SHELL, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "the phase: python3 -s -u /scenarios/serve.py",
        "its client: SERVER_URL=http://127.0.0.1:5000 python3 -s -u /scenarios/client.py",
        "5000",
    ], done.stderr
    assert done.returncode == 0
    assert left(daemon, launch) == NOTHING


def test_only_the_server_has_the_gpu_and_its_name(tmp_path: Path) -> None:
    daemon = Daemon()
    daemon.__dict__.update(
        info={"Runtimes": {"nvidia": {}}}, version={"ApiVersion": "1.41"}, address="unix:///x"
    )
    api = APIClient(base_url="unix:///nonexistent", version="1.41")
    launch = Launch(
        key="k",
        run_id="r",
        environment=Environment("f", "sha256:0"),
        script="serve.py",
        variables={"ACCELERATOR": "gpu"},
        scenarios=tmp_path,
        data=tmp_path,
        input=tmp_path,
        output=tmp_path / "a",
        logs=tmp_path,
        gpu="GPU-1c2d",
        client=Client("client.py", tmp_path / "b", tmp_path),
    )
    server = container.configuration(api, daemon, launch, network="net")
    client = container.configuration(api, daemon, launch.of_client("http://x"), network="net")
    alone = container.configuration(api, daemon, launch)
    assert server["HostConfig"]["DeviceRequests"]
    assert not client["HostConfig"].get("DeviceRequests")
    assert server["HostConfig"]["NetworkMode"] == client["HostConfig"]["NetworkMode"] == "net"
    assert alone["HostConfig"]["NetworkMode"] == "none"
    assert server["NetworkingConfig"]["EndpointsConfig"] == {"net": {"Aliases": ["server"]}}
    assert client["NetworkingConfig"]["EndpointsConfig"] == {"net": {}}
    same = ("CapDrop", "SecurityOpt", "ReadonlyRootfs", "PidsLimit", "Init", "Tmpfs", "Ulimits")
    for key in same:
        assert server["HostConfig"][key] == client["HostConfig"][key], key
    assert "ACCELERATOR=virtual" in client["Env"]
    assert client["Image"] == server["Image"]
