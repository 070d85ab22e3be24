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
from harness.engine.docker import build
from harness.engine.docker.daemon import Daemon
from harness.engine.docker.engine import DockerEngine
from tests.engine.docker.test_image import locked_six, make_flavor
from tests.paths import ROOT


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
        index.asked.wait(120)
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
def test_a_term_during_a_build_interrupts_the_run_and_breaks_no_flavor(
    index: SilentIndex, base_image: str, tmp_path: Path, remains: Callable[[], set[str]]
) -> None:
    checkout, reports = tmp_path / "checkout", tmp_path / "reports"
    shutil.copytree(ROOT / "docker", checkout / "docker")
    (checkout / "scenarios").symlink_to(ROOT / "scenarios")
    command = (sys.executable, "-m", "harness", "--root", str(checkout), "run", "--gpu=none")
    options = ("--engine=docker", "--flavors=tf1-tfkeras", "--scenarios=trainsave-loadtrain")
    environ = {**os.environ, "BASE_IMAGE_TF1_TFKERAS": base_image}
    run = subprocess.Popen(
        [*command, *options, f"--reports={reports}"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert index.asked.wait(120), "the build did not get so far"
        asked = time.monotonic()
        run.send_signal(signal.SIGTERM)
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
    assert remains() == set()


@pytest.mark.docker
def test_a_build_that_nobody_follows_any_more_ends(
    index: SilentIndex, daemon: Daemon, base_image: str, remains: Callable[[], set[str]]
) -> None:
    """As where the log is on a full disk: the daemon does not go on for nobody."""
    content = f"FROM {base_image}\nLABEL {build.BUILD_LABEL}=left\nRUN echo first && sleep 300\n"
    archive = build.context({"Dockerfile": content.encode()})

    def ask(client: Any) -> Any:
        return client.build(fileobj=archive, custom_context=True, decode=True, rm=True)

    with contextlib.closing(daemon.events(ask, threading.Event())) as events:
        for event in events:
            if event.get("stream") == "first\n":
                break
    filters, late = {"label": f"{build.BUILD_LABEL}=left"}, time.monotonic() + 30
    while daemon.client().containers(filters=filters) and time.monotonic() < late:
        time.sleep(0.05)
    assert daemon.client().containers(filters=filters) == [], "the step of the build goes on"
    build.clear(daemon.client(), f"{build.BUILD_LABEL}=left")
    assert remains() == set()
