"""Claims of real processes on real files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.base import claim
from harness.base.claim import Claim, ClaimedDirectory
from harness.base.error import StoppedError
from tests import users
from tests.paths import ROOT

_HOLD = """
import sys
from pathlib import Path
from harness.base.claim import Claim
held = Claim(Path(sys.argv[1]))
print(held.take(shared=sys.argv[2] == "shared"), flush=True)
sys.stdin.read()
"""


class Other:
    """Another process that holds a claim until it is killed."""

    def __init__(self, path: Path, kind: str = "exclusive") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path), kind],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.held = self.process.stdout.readline() == b"True\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "thing.lock"


@pytest.mark.parametrize(
    ("theirs", "shared", "can"),
    [
        ("exclusive", False, False),
        ("exclusive", True, False),
        ("shared", False, False),
        ("shared", True, True),
    ],
)
def test_one_alone_or_many_together(path: Path, theirs: str, shared: bool, can: bool) -> None:
    other, mine = Other(path, theirs), Claim(path)
    assert other.held
    assert mine.take(shared) == can
    other.kill()  # the kernel frees what it held
    assert mine.take(shared)
    mine.release()


def test_a_claim_becomes_shared_and_alone_again(path: Path) -> None:
    mine = Claim(path)
    assert mine.take()
    assert mine.take(shared=True)
    other = Other(path, "shared")
    assert other.held
    assert not mine.take()
    other.kill()
    assert mine.take()
    mine.release()


def test_a_child_that_inherits_it_holds_it_on(path: Path) -> None:
    """As the supervisor of `uv` does when the driver is killed."""
    code = f"""
import os, subprocess, sys
from pathlib import Path
from harness.base.claim import Claim
held = Claim(Path({str(path)!r}))
assert held.take()
null = subprocess.DEVNULL
child = subprocess.Popen(
    ["/bin/sleep", "60"], stdout=null, stderr=null, pass_fds=(held.descriptor,))
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    mine = Claim(path)
    assert not mine.take()
    os.kill(int(done.stdout), 9)
    mine.wait(threading.Event())
    mine.release()


def test_a_wait_can_be_stopped(path: Path) -> None:
    other, mine, cancel = Other(path), Claim(path), threading.Event()
    threading.Timer(0.3, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError, match=r"waited for thing\.lock"):
        mine.wait(cancel)
    assert time.monotonic() - began < 2
    other.kill()


def test_a_file_that_was_removed_is_no_claim(path: Path) -> None:
    """Who waited for it would hold what nobody else finds."""
    old, mine = Claim(path), Claim(path)
    assert old.take()
    assert not mine.take()
    old.remove()
    assert not path.exists()
    assert mine.take()
    assert not Claim(path).take()
    mine.release()


def test_what_is_no_plain_path_is_refused(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        Claim(path).take()
    assert not path.with_name("elsewhere").exists()


def _take(path: str) -> bool:
    return Claim(Path(path)).take()


def test_a_file_of_another_user_can_be_claimed() -> None:
    with users.directory() as directory:
        path = directory / "thing.lock"
        mine = Claim(path)
        assert mine.take()
        assert not users.call(users.OTHER, _take, str(path))
        mine.release()
        assert users.call(users.OTHER, _take, str(path))


# --- directories ----------------------------------------------------------------------------------

_KILLED = """
import os, sys
from pathlib import Path
from harness.base.claim import ClaimedDirectory
made = ClaimedDirectory(Path(sys.argv[1]), "one.")
(made.path / "deep").mkdir()
os.chmod(made.path / "deep", 0o555)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """What a killed process left: a directory, and the file of its claim."""
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], cwd=ROOT)
    (found,) = (path for path in tmp_path.iterdir() if path.is_dir())
    return found


def test_a_directory_goes_with_its_claim(tmp_path: Path) -> None:
    made = ClaimedDirectory(tmp_path / "new", "one.")
    assert made.path.is_dir()
    assert list(claim.abandoned(tmp_path / "new")) == []
    assert made.path.is_dir()
    made.remove()
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_left_is_found_and_removed(tmp_path: Path, left: Path) -> None:
    alive = ClaimedDirectory(tmp_path, "two.")
    assert list(claim.abandoned(tmp_path, "other.")) == []
    assert list(claim.abandoned(tmp_path)) == [left]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        alive.path.name,
        f"{alive.path.name}.lock",
    ]
    assert list(claim.abandoned(tmp_path)) == []


def test_a_directory_without_a_claim_and_a_claim_without_a_directory(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "never.lock").touch()
    assert list(claim.abandoned(tmp_path)) == [tmp_path / "old"]
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "link").symlink_to(tmp_path / "kept")
    assert list(claim.abandoned(tmp_path / "scratch")) == []
    assert (tmp_path / "kept").is_dir()


def _abandoned(directory: str) -> list[Path]:
    return list(claim.abandoned(Path(directory)))


def test_another_user_s_are_left_to_that_user() -> None:
    with users.directory() as directory:
        subprocess.run([sys.executable, "-c", _KILLED, str(directory)], cwd=ROOT)
        users.call(users.OTHER, _abandoned, str(directory))
        assert len([path for path in directory.iterdir() if path.is_dir()]) == 1
        assert len(list(claim.abandoned(directory))) == 1
