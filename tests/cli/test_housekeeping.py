"""`harness clean`: what it removes, what it leaves, and what it says of both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base.error import EXIT_NOT_JUDGED, EXIT_PASSED
from tests.engine.test_leftovers import KEPT, files, run
from tests.paths import ROOT
from tests.small_disks import mounted

# No daemon: what `clean` does on one is in tests/engine/docker.
NOTE = "note: containers and images were not looked at: no Docker daemon: nothing listens"
USE = """
import sys
from pathlib import Path
from harness.base.claim import Claim
claim = Claim(Path(sys.argv[1]))
assert claim.take(shared=True)
print("used", flush=True)
sys.stdin.read()
"""


def clean(root: Path) -> tuple[int, list[str]]:
    """The exit code, and the lines but for the note that there is no daemon."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    done = subprocess.run(
        [sys.executable, "-m", "harness", "--root", str(root), "clean"],
        cwd=ROOT,
        env={**kept, "DOCKER_HOST": "unix:///nowhere/docker.sock"},
        capture_output=True,
        text=True,
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith(NOTE) for line in lines), lines
    return done.returncode, [line for line in lines if not line.startswith("note: ")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with two environments, and scratch and a run of dead drivers."""
    for name in ("f-virtual-0123456789ab", "g-virtual-0123456789ab"):
        directory = tmp_path / ".cache/environments" / name
        directory.mkdir(parents=True)
        (directory / "ready.json").touch()
    (tmp_path / ".cache/scratch/r.k.01234567/home").mkdir(parents=True)
    started = run(tmp_path / "reports/dead")
    started.kill()
    started.communicate()
    return tmp_path


def test_everything_that_nobody_uses_goes(root: Path) -> None:
    code, lines = clean(root)
    assert code == EXIT_PASSED
    assert lines == [
        "removed environment f-virtual-0123456789ab",
        "removed environment g-virtual-0123456789ab",
        "removed copies of artifacts in dead, whose driver died",
        "3 removed, 0 left, 0 not removed",
    ]
    assert [path.name for path in (root / ".cache").rglob("*")] == ["scratch"]
    assert files(root / "reports/dead") == KEPT
    assert clean(root) == (EXIT_PASSED, ["0 removed, 0 left, 0 not removed"])


def test_what_a_living_run_has_is_left(root: Path) -> None:
    living = run(root / "reports/living")
    used = root / ".cache/environments/f-virtual-0123456789ab.use"
    user = subprocess.Popen(
        [sys.executable, "-c", USE, str(used)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert user.stdout is not None
    assert user.stdout.readline() == b"used\n"
    code, lines = clean(root)
    assert code == EXIT_PASSED
    assert "left environment f-virtual-0123456789ab: a run uses it" in lines
    assert lines[-1] == "2 removed, 1 left, 0 not removed"
    assert (root / ".cache/environments/f-virtual-0123456789ab/ready.json").exists()
    assert files(root / "reports/living") > KEPT
    for process in (user, living):
        process.communicate()
    assert clean(root)[1][-1] == "1 removed, 0 left, 0 not removed"


def test_nothing_is_said_to_be_removed_from_read_only_storage(tmp_path: Path) -> None:
    with mounted(tmp_path / ".cache", "1m") as cache:
        (cache / "environments/f-virtual-0123456789ab/lib").mkdir(parents=True)
        (cache / "scratch/r.k.01234567").mkdir(parents=True)
        subprocess.run(["mount", "-o", "remount,ro", cache], check=True)
        code, lines = clean(tmp_path)
        assert code == EXIT_NOT_JUDGED
        assert sorted(lines) == [
            "0 removed, 0 left, 1 not removed",
            "could not remove environment f-virtual-0123456789ab: Read-only file system",
        ]
