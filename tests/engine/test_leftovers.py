"""What a driver that was killed leaves in a run's directory; real processes, real modes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import leftovers
from harness.run import artifacts
from tests import users
from tests.paths import ROOT

_RUN = """
import os, sys
from pathlib import Path
from harness.engine import leftovers
from harness.run import artifacts
directory = Path(sys.argv[1])
for place in ("phases/a/artifacts/deep", "groups/g/input", "groups/g/output/0", "shell/a"):
    (directory / place).mkdir(parents=True)
(directory / "phases/a/artifacts/deep/model.h5").write_text("model")
held = leftovers.claim(directory)
for place in ("phases/b/input", "groups/g/input/0", "shell/a/input"):
    artifacts.copy_read_only(directory / "phases/a/artifacts", directory / place)
(directory / ".record.json.0123456789ab.tmp").write_text("half")
(directory / "record.json").write_text("{}")
print("ready", flush=True)
sys.stdin.read()
leftovers.give_up(held)
"""
KEPT = {"phases/a/artifacts/deep/model.h5", "record.json"}


def run(directory: Path) -> subprocess.Popen[bytes]:
    """Another process whose run goes on in a directory."""
    started = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    return started


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_a_living_run_keeps_its_copies_and_a_dead_one_s_go(tmp_path: Path) -> None:
    living, dead = run(tmp_path / "living"), run(tmp_path / "dead")
    before = files(tmp_path / "living")
    assert {"phases/b/input/deep/model.h5", "groups/g/input/0/deep/model.h5"} < before
    assert leftovers.reap(tmp_path) == []
    dead.kill()
    dead.communicate()
    assert leftovers.reap(tmp_path) == ["copies of artifacts in dead, whose driver died"]
    assert files(tmp_path / "dead") == KEPT
    assert files(tmp_path / "living") == before
    assert leftovers.reap(tmp_path) == []
    living.communicate()  # it ends by itself
    assert files(tmp_path / "living") == KEPT
    assert leftovers.reap(tmp_path) == []


@pytest.mark.parametrize("reports", ["nowhere", "file"])
def test_no_directory_of_runs_is_nothing_to_remove(tmp_path: Path, reports: str) -> None:
    (tmp_path / "file").touch()
    assert leftovers.reap(tmp_path / reports) == []


def _reap(directory: str) -> list[str]:
    return leftovers.reap(Path(directory))


def _leave(directory: str) -> None:
    """In a process that ends without giving anything up."""
    saved = Path(directory, "phases/a/artifacts")
    saved.mkdir(parents=True)
    (saved / "model.h5").write_text("model")
    leftovers.claim(Path(directory))
    artifacts.copy_read_only(saved, Path(directory, "phases/b/input"))


def test_a_user_s_own_read_only_copies_are_removed_by_that_user() -> None:
    with users.directory() as directory:
        users.call(users.OTHER, _leave, str(directory / "run"))
        assert (directory / "run/phases/b/input/model.h5").exists()
        assert users.call(users.OTHER, _reap, str(directory)) != []
        assert files(directory / "run") == {"phases/a/artifacts/model.h5"}
