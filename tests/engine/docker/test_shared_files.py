"""A daemon that does not see this machine's files is told before anything is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.base.error import UsageError
from harness.engine.docker import shared_files
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.docker.ledger import Ledger
from tests.paths import ROOT

pytestmark = pytest.mark.docker


@pytest.fixture
def ledger(daemon: Daemon, tmp_path: Path) -> Ledger:
    """Nothing is in it when the test has ended."""
    return Ledger(daemon, tmp_path / "state")


def left(daemon: Daemon) -> list[str]:
    client, filters = daemon.client(), {"label": f"{LABEL}=shared-files"}
    containers = client.containers(all=True, filters=filters)
    return [entry["Id"] for entry in (*containers, *client.images(all=True, filters=filters))]


def test_a_daemon_that_sees_the_files_passes_and_nothing_is_left(
    daemon: Daemon, ledger: Ledger, tmp_path: Path
) -> None:
    shared_files.check(daemon, ledger, [tmp_path, tmp_path / "made" / "below"])
    assert left(daemon) == []
    assert ledger.entries() == []
    assert not (tmp_path / "made" / "below").exists()


def test_nothing_is_pulled_for_it(daemon: Daemon, ledger: Ledger, tmp_path: Path) -> None:
    before = {entry["Id"] for entry in daemon.client().images(all=True)}
    shared_files.check(daemon, ledger, [tmp_path])
    assert {entry["Id"] for entry in daemon.client().images(all=True)} == before


@pytest.mark.usefixtures("daemon")
def test_it_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(shared_files, "check", lambda *given: asked.append(list(given[-1])))
    engine = DockerEngine(directories=[tmp_path])
    engine.preflight(None)
    engine.preflight(None)
    assert asked == [[tmp_path]]


def test_a_directory_that_nobody_can_write_to_is_no_fault_of_the_daemon(
    daemon: Daemon, ledger: Ledger
) -> None:
    shared_files.check(daemon, ledger, [Path("/proc/nothing/can/be/made/here")])


@pytest.mark.parametrize("there", [True, False])
def test_a_daemon_in_another_place_is_refused_before_anything_is_built(
    daemon: Daemon, tmp_path: Path, there: bool
) -> None:
    """A file system that only the harness has mounted, as in a container with a mounted socket."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare (util-linux)")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    cache, root = hidden / ".cache", hidden
    if there:
        (hidden / ".cache").mkdir()  # a directory of that name, without the file
    for name in ("docker", "scenarios"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    script = (
        'mount -t tmpfs none "$1" && cp -r "$2/docker" "$2/scenarios" "$1" && shift 2 && exec "$@"'
    )
    arguments = ("--root", str(root), "run", "--engine=docker", "--gpu=none")
    command = [sys.executable, "-m", "harness", *arguments, f"--reports={hidden / 'reports'}"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(hidden), str(tmp_path), *command],
        cwd=ROOT,
        env={**os.environ, "BASE_IMAGE": "lms-harness-test/nowhere:1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 4, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert f"does not see the files of {cache}" in line
    assert "ENGINE=venv" in line
    assert "Traceback" not in line
    assert left(daemon) == []


def test_a_daemon_that_makes_no_container_is_one_line(
    daemon: Daemon, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_files, "_NOTHING", b"no archive" * 1000)
    with pytest.raises(UsageError, match="makes no container") as caught:
        shared_files.check(daemon, ledger, [tmp_path])
    assert "\n" not in str(caught.value)
