"""One container from its start to its end: who asks the daemon, over what, and for which limits."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from docker import APIClient
from docker.errors import APIError

from harness.base.error import EngineError
from harness.engine.docker import daemon as daemon_module
from harness.engine.docker.container_run import transient
from harness.engine.docker.daemon import Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Exit, Launch
from harness.measure.target import Target
from harness.record.models import Outcome
from tests.engine.docker.test_engine import MIB, execute, stdout
from tests.engine.docker.test_engine import make as make

pytestmark = pytest.mark.docker

Make = Callable[..., Launch]


def test_no_client_is_used_by_two_threads(
    make: Make, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    users: dict[APIClient, set[int]] = defaultdict(set)

    class Watched(APIClient):
        def send(self, *arguments: Any, **options: Any) -> Any:
            users[self].add(threading.get_ident())
            return super().send(*arguments, **options)

    def client(version: str) -> APIClient:
        made = original(version)
        made.__class__ = Watched
        return made

    original = daemon_module._client
    monkeypatch.setattr(daemon_module, "_client", client)
    pids: list[set[int]] = []

    def started(target: Target) -> None:
        sampler = threading.Thread(target=lambda: pids.append(target.pids()))
        sampler.start()
        sampler.join()

    launch = make("import time; print('x'); time.sleep(0.5)", memory=256 * MIB)
    ended = DockerEngine().execute(launch, started, threading.Event())
    assert ended.outcome is Outcome.COMPLETED
    assert pids
    used = list(users.values())
    assert all(len(threads) == 1 for threads in used), used
    assert len({thread for threads in used for thread in threads}) >= 3, "main, wait, sampler"


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def tls(daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The daemon behind TLS, with certificates of both sides; its address."""
    if not daemon.address.startswith("unix://"):
        pytest.skip("the daemon is not behind a Unix socket")
    keys = tmp_path / "keys"
    keys.mkdir()
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(keys / "key.pem"), "-out", str(keys / "cert.pem")),
        ],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    (keys / "ca.pem").write_bytes((keys / "cert.pem").read_bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(keys / "ca.pem"))
    context.load_cert_chain(keys / "cert.pem", keys / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    path = daemon.address.removeprefix("unix://")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(
                    target=relay, args=(context, connection, path), daemon=True
                ).start()

    threading.Thread(target=accept, daemon=True).start()
    address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    (tmp_path / "other.pem").write_bytes(b"")  # the package index's, and nothing of the daemon's
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(keys))
    yield address
    listener.close()


def relay(context: ssl.SSLContext, connection: socket.socket, path: str) -> None:
    """Passes on what both sides say until one of them says no more."""
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(connection, server_side=True) as client,
        socket.socket(socket.AF_UNIX) as behind,
    ):
        behind.connect(path)
        while True:
            readable = [client] if client.pending() else select.select([client, behind], [], [])[0]
            for one, other in ((client, behind), (behind, client)):
                if one in readable:
                    data = one.recv(2**16)
                    if not data:
                        return
                    other.sendall(data)


def test_over_tls_a_line_is_seen_when_it_is_written(make: Make, tls: str) -> None:
    """Nothing follows the line: what waits for the next frame would wait for ever."""
    launch = make(
        "import sys, time; print('ready'); time.sleep(1); print('!', file=sys.stderr);"
        " time.sleep(120)",
        deadline_s=90,
    )
    cancel, seen = threading.Event(), threading.Event()

    def watch() -> None:
        log = launch.logs / "stderr.log"
        for _ in range(1200):
            if log.exists() and log.read_text() == "!\n":
                seen.set()
                break
            if cancel.wait(0.05):
                return
        cancel.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    ended = DockerEngine(grace_s=0.1).execute(launch, lambda target: None, cancel)
    cancel.set()
    watcher.join()
    assert seen.is_set(), ended
    assert ended.outcome is Outcome.INTERRUPTED, ended
    assert stdout(launch) == "ready\n"


def test_a_phase_over_tls_ends_as_any_other(make: Make, tls: str) -> None:
    ended = execute(make("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (ended.outcome, ended.code) == (Outcome.FAILED, 3), ended.reason


# --- limits ---------------------------------------------------------------------------------------

_LIMITS = """
    import json, os, resource, threading
    os.environ.clear()
    threads, stop = [], threading.Event()
    threading.stack_size(64 * 1024)
    try:
        while len(threads) < 6000:
            thread = threading.Thread(target=stop.wait)
            thread.start()
            threads.append(thread)
    except RuntimeError:
        pass
    stop.set()
    size = lambda path: os.statvfs(path).f_blocks * os.statvfs(path).f_frsize
    print(json.dumps({"threads": len(threads), "shm": size("/dev/shm"), "tmp": size("/tmp"),
                      "core": resource.getrlimit(resource.RLIMIT_CORE)}))
"""


def test_a_phase_gets_no_more_processes_and_files_in_memory_than_it_may(make: Make) -> None:
    launch = make(_LIMITS)
    ended = execute(launch)
    assert ended.outcome is Outcome.COMPLETED, (launch.logs / "stderr.log").read_text()
    seen = json.loads(stdout(launch))
    assert 3900 < seen["threads"] < 4096, "init and the first thread count too"
    assert seen["shm"] == 2**30
    assert seen["tmp"] == 8 * 2**30
    assert ended.details["limits"]["PidsLimit"] == 4096


def test_memory_is_limited_with_swap_and_with_files_in_memory(make: Make) -> None:
    """A scratch directory is memory: what is written there counts, and none of it goes to swap."""
    script = """
        with open("/tmp/large", "wb", buffering=0) as file:
            for _ in range(256):
                file.write(bytes(2**20))
    """
    ended = execute(make(script, memory=64 * MIB))
    assert ended.outcome is Outcome.OUT_OF_MEMORY, ended
    limits = ended.details["limits"]
    assert limits["Memory"] == limits["MemorySwap"] == 64 * MIB
    assert execute(make(script, memory=512 * MIB)).outcome is Outcome.COMPLETED


def test_threads_of_a_phase_are_said_to_its_libraries(make: Make) -> None:
    launch = make("import os; print(os.environ['OMP_NUM_THREADS'])", threads=1)
    assert execute(launch).outcome is Outcome.COMPLETED
    assert stdout(launch) == "1\n"


# --- GPUs that cannot be handed out ---------------------------------------------------------------


def test_a_daemon_without_the_toolkit_is_an_error_and_not_a_failure(
    make: Make, daemon: Daemon
) -> None:
    if daemon._nvidia_driver or daemon._cdi_devices:
        pytest.skip("this daemon has the toolkit")
    ended: Exit = execute(make("print('runs')", gpu="GPU-1c2d"))
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "could not select device driver" in ended.reason
    assert "NVIDIA container toolkit" in ended.reason
    assert "\n" not in ended.reason


def answer(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("no", response)


@pytest.mark.parametrize(
    ("problem", "again"),
    [
        (answer(500), True),  # runc, a hook or the toolkit could not
        (answer(503), True),
        (answer(400), False),  # the program is not in the image
        (answer(404), False),  # nor is the image there
        (answer(409), False),
        (requests.ConnectionError("refused"), True),
        (requests.Timeout("silent"), True),
        (urllib3.exceptions.ProtocolError("cut"), True),
        (ConnectionResetError(104, "reset"), True),
        (EngineError("the daemon does not answer"), True),
        (OSError(28, "No space left on device", "/reports/stdout.log"), False),
    ],
)
def test_what_a_daemon_could_not_do_may_be_done_the_next_time(
    problem: Exception, again: bool
) -> None:
    assert transient(problem) is again
