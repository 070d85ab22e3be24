"""Builds that are stopped while the daemon is at work."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.base.error import StoppedError
from harness.engine import indexes
from harness.engine.docker.daemon import Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.docker.ledger import Ledger
from tests.engine.docker import private_daemon
from tests.engine.docker.test_image import locked_six, make_empty_flavor, make_flavor
from tests.paths import ROOT

_SOON_S = 400.0  # an environment is made first, on cores that are busy


class SilentIndex:
    """A package index that takes a connection and never answers.

    Attributes:
        asked: set when a build waits for it.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/simple"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for connection in (self._socket, *self._connections):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                self._connections.append(self._socket.accept()[0])
            except OSError:
                return
            self.asked.set()


@pytest.fixture
def index(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SilentIndex]:
    """An index of this machine that pip of a build waits for, and nothing else is asked."""
    if not daemon.local:
        pytest.skip("a daemon of another machine does not reach this one's loopback address")
    found = SilentIndex()
    for name in [name for name in os.environ if name.startswith("PIP_") or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", found.url)
    monkeypatch.setenv("HARNESS_BUILD_NETWORK", "host")
    yield found
    found.close()


@pytest.mark.docker
def test_a_build_that_waits_is_stopped_and_leaves_nothing(
    index: SilentIndex,
    daemon: Daemon,
    base_image: str,
    tmp_path: Path,
    remains: Callable[[], set[str]],
) -> None:
    flavor = make_flavor(tmp_path, locked_six(), base_image)
    cancel, when = threading.Event(), []
    before = {entry["Id"] for entry in daemon.client().images(all=True)}

    def stop() -> None:
        index.asked.wait(_SOON_S)
        when.append(time.monotonic())
        cancel.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(StoppedError):
        DockerEngine().prepare(flavor, "virtual", lambda line: None, cancel)
    assert index.asked.is_set(), "the build did not get so far"
    assert time.monotonic() - when[0] < 13, "pip gives up after 15 s"
    stopper.join()
    assert remains() == set()
    assert {entry["Id"] for entry in daemon.client().images(all=True)} <= before


@pytest.mark.docker
def test_what_is_stopped_before_a_build_builds_nothing(
    base_image: str, tmp_path: Path, remains: Callable[[], set[str]]
) -> None:
    flavor, cancel = make_flavor(tmp_path, locked_six(), base_image), threading.Event()
    cancel.set()
    with pytest.raises(StoppedError):
        DockerEngine().prepare(flavor, "virtual", lambda line: None, cancel)
    assert remains() == set()


@pytest.mark.docker
@pytest.mark.parametrize(
    "signals",
    [(signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGINT,), (signal.SIGINT, signal.SIGINT)],
    ids=["term", "hang-up", "interrupt", "twice"],
)
def test_a_signal_during_a_build_interrupts_the_run_and_breaks_no_flavor(
    index: SilentIndex,
    base_image: str,
    tmp_path: Path,
    remains: Callable[[], set[str]],
    signals: tuple[signal.Signals, ...],
) -> None:
    checkout, reports = tmp_path / "checkout", tmp_path / "reports"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    shutil.copytree(ROOT / "docker", checkout / "docker")
    (checkout / "scenarios").symlink_to(ROOT / "scenarios")
    command = (sys.executable, "-m", "harness", "--root", str(checkout), "run", "--gpu=none")
    options = ("--engine=docker", "--flavors=tf1-tfkeras", "--scenarios=trainsave-loadtrain")
    environ = {
        **os.environ,
        "BASE_IMAGE_TF1_TFKERAS": base_image,
        "TMPDIR": str(temporary),
    }
    run = subprocess.Popen(
        [*command, *options, f"--reports={reports}"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert index.asked.wait(_SOON_S), "the build did not get so far"
        asked = time.monotonic()
        for number in signals:
            run.send_signal(number)
            time.sleep(0.3)  # the second of two is not merged into the first
        output, _ = run.communicate(timeout=60)
        assert time.monotonic() - asked < 13, "pip gives up after 15 s"
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 130, output
    record: dict[str, Any] = json.loads((reports / "latest" / "record.json").read_text())
    assert record["state"] == "interrupted"
    (flavor,) = (entry for entry in record["flavors"] if entry["id"] == "tf1-tfkeras")
    assert flavor["unavailable"] is None
    assert "image build broke" not in json.dumps(record)
    if len(signals) > 1:  # it was not given the time to clear away
        DockerEngine(cache=checkout / ".cache").reap()
        until(lambda: remains() == set(), 10)  # a removal that it had asked for may go on
    assert remains() == set()
    assert list(temporary.iterdir()) == []


_DRIVER = """
import sys, threading
from pathlib import Path
from harness.engine.docker.engine import DockerEngine
from tests.engine.docker.test_image import locked_six, make_flavor
flavor = make_flavor(Path(sys.argv[1]), locked_six(), sys.argv[2])
engine = DockerEngine(cache=Path(sys.argv[1]) / ".cache")
engine.prepare(flavor, "virtual", lambda line: None, threading.Event())
"""
SECRET = "zq7-password"


@contextlib.contextmanager
def building(index: SilentIndex, root: Path, base: str) -> Iterator[subprocess.Popen[bytes]]:
    """A driver whose build has been told an index with a password, and waits for it."""
    scheme, _, place = index.url.partition("://")
    address = f"{scheme}://zq7-user:{SECRET}@{place}"
    temporary = root / "tmp"
    temporary.mkdir()
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(root), base],
        cwd=ROOT,
        env={**os.environ, "PIP_INDEX_URL": address, "TMPDIR": str(temporary)},
    )
    try:
        assert index.asked.wait(_SOON_S), "the build did not get so far"
        yield driver
    finally:
        driver.kill()
        driver.wait()


def written(root: Path) -> list[str]:
    """The files of its containers and images in which a daemon has the password."""
    done = subprocess.run(
        ["grep", "-rlaF", "--devices=skip", SECRET, str(root)], capture_output=True, text=True
    )
    return done.stdout.splitlines()


def until(done: Callable[[], bool], seconds: float) -> bool:
    late = time.monotonic() + seconds
    while not done() and time.monotonic() < late:
        time.sleep(0.1)
    return done()


@pytest.mark.docker
def test_a_killed_driver_takes_its_build_with_it_and_the_rest_goes_at_the_next_start(
    index: SilentIndex,
    daemon: Daemon,
    base_image: str,
    tmp_path: Path,
    remains: Callable[[], set[str]],
) -> None:
    client = daemon.client()
    with building(index, tmp_path, base_image) as driver:
        (builder,) = remains()
        facts = json.dumps(client.inspect_container(builder))
        assert SECRET not in facts
        assert index.url.partition("://")[2] not in facts
        assert not any(SECRET.encode() in part for part in client.export(builder))
        engine = DockerEngine(cache=tmp_path / ".cache")
        assert engine.reap() == [], "of a living driver"
        driver.kill()
        driver.wait()
    ended = until(lambda: not client.inspect_container(builder)["State"]["Running"], 10)
    assert ended, "pip goes on for nobody"
    (line,) = engine.reap()
    assert line.endswith("of a driver that is gone")
    assert remains() == set()
    assert not list((tmp_path / ".cache" / "docker").rglob("*.json"))
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.docker
@pytest.mark.slow
def test_of_a_killed_daemon_s_build_nothing_is_left_and_no_password_was_written(
    index: SilentIndex, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with private_daemon.running(base_image) as private:
        monkeypatch.setenv("DOCKER_HOST", private.address)
        with building(index, tmp_path, base_image) as driver:
            (builder,) = private.containers()
            private.stop(signal.SIGKILL)
            driver.wait(60)
        root = private.log.parent
        assert written(root / "data") == []
        private.start()
        assert private.containers() == [builder], "what a daemon leaves that is killed"
        (line,) = DockerEngine(cache=tmp_path / ".cache").reap()
        assert line.endswith("of a driver that is gone")
        assert private.containers() == []
        assert written(root / "data") == []
        with contextlib.closing(private.client()) as client:
            assert [entry["Id"] for entry in client.images(all=True)] == [base_image]


@pytest.mark.docker
@pytest.mark.slow
def test_a_whole_build_has_written_no_password_anywhere(
    base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked for in every file of the daemon, and of the checkout, before anything is removed."""
    settings = indexes.pip_settings(os.environ)
    scheme, _, place = settings.get("index-url", "https://pypi.org/simple").partition("://")
    address = f"{scheme}://zq7-user:{SECRET}@{place.rpartition('@')[2]}"
    removed: list[str] = []
    with private_daemon.running(base_image) as private:
        data = private.log.parent / "data"
        monkeypatch.setenv("DOCKER_HOST", private.address)
        monkeypatch.setenv("HARNESS_BUILD_NETWORK", "host")
        monkeypatch.setenv("PIP_INDEX_URL", address)
        monkeypatch.setenv("ftp_proxy", f"http://zq7-user:{SECRET}@proxy.invalid:1")
        remove = Ledger.remove

        def looked_at(ledger: Ledger, *arguments: Any) -> bool:
            removed.append(str(written(data)))
            return remove(ledger, *arguments)

        monkeypatch.setattr(Ledger, "remove", looked_at)
        flavor = make_flavor(tmp_path, locked_six(), base_image)
        engine = DockerEngine(cache=tmp_path / ".cache")
        environment = engine.prepare(flavor, "virtual", lambda line: None, threading.Event())
        assert "six==1.17.0" in environment.provenance["packages"]
        assert removed == ["[]"] * 3, "two of the build, one that its contents were read from"
        assert written(data) == []
        assert written(tmp_path) == []


@pytest.mark.docker
def test_two_runs_that_need_the_same_image_build_it_once(
    daemon: Daemon, base_image: str, tmp_path: Path
) -> None:
    flavor, said = make_empty_flavor(tmp_path, base_image), []
    engines = [DockerEngine(cache=tmp_path / ".cache") for _ in range(2)]
    handles: list[str] = []

    def prepare(engine: DockerEngine) -> None:
        found = engine.prepare(flavor, "virtual", said.append, threading.Event())
        handles.append(found.handle)

    threads = [threading.Thread(target=prepare, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(handles) == 2
    assert len(set(handles)) == 1
    assert len([line for line in said if "building the image" in line]) == 1
    for engine in engines:
        engine.close()
    assert len(engines[0].clean().removed) == 1


@pytest.mark.docker
def test_a_run_that_waits_for_another_s_build_can_be_stopped(
    index: SilentIndex, base_image: str, tmp_path: Path
) -> None:
    with building(index, tmp_path, base_image):
        flavor = make_flavor(tmp_path, locked_six(), base_image)
        cancel, said = threading.Event(), []
        timer = threading.Timer(1.0, cancel.set)
        timer.start()
        began = time.monotonic()
        with pytest.raises(StoppedError):
            DockerEngine(cache=tmp_path / ".cache").prepare(flavor, "virtual", said.append, cancel)
        assert 0.9 < time.monotonic() - began < 4
        assert said == ["t-lms: another run builds the same image; waiting"]
    assert len(DockerEngine(cache=tmp_path / ".cache").reap()) == 1
