from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.base.error import EngineError
from harness.measure import lease
from tests import users
from tests.paths import ROOT

UUID = "GPU-11111111-2222"


def test_one_holder_at_a_time(tmp_path):
    cancel = threading.Event()
    told: list[str] = []
    order: list[str] = []

    def second():
        with lease.hold(UUID, cancel, told.append, tmp_path):
            order.append("second")

    with lease.hold(UUID, cancel, told.append, tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert told == [f"GPU {UUID} is held by another run; waiting"]


def test_cancel_ends_the_wait(tmp_path):
    cancel = threading.Event()
    with lease.hold(UUID, cancel, print, tmp_path):
        threading.Timer(0.2, cancel.set).start()
        begin = time.monotonic()
        with lease.hold(UUID, cancel, print, tmp_path):
            assert time.monotonic() - begin < 5


def test_no_gpu_needs_no_lease(tmp_path):
    with lease.hold(None, threading.Event(), print, tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_planted_link_is_refused(tmp_path):
    (tmp_path / f"lms-harness-{UUID}.lock").symlink_to(tmp_path / "victim")
    with (
        pytest.raises(EngineError, match="could not open the GPU's lease"),
        lease.hold(UUID, threading.Event(), print, tmp_path),
    ):
        pass
    assert not (tmp_path / "victim").exists()


def take(directory: Path, mask: int) -> list[str]:
    """Takes the lease and gives it back; returns what was said."""
    os.umask(mask)
    told: list[str] = []
    with lease.hold(UUID, threading.Event(), told.append, directory):
        return told


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o777])
def test_users_take_it_in_turn(mask):
    with users.directory() as shared:
        for uid in (users.OTHER, users.ANOTHER, users.OTHER):
            assert users.call(uid, take, shared, mask) == []
        with lease.hold(UUID, threading.Event(), print, shared):  # root as well
            pass


def wait_for_it(directory: Path) -> list[str]:
    told: list[str] = []
    cancel = threading.Event()

    def waiting(text: str) -> None:
        told.append(text)
        threading.Timer(0.3, cancel.set).start()

    with lease.hold(UUID, cancel, waiting, directory):
        return told


def test_a_user_waits_for_another(tmp_path):
    with users.directory() as shared:
        users.call(users.OTHER, take, shared, 0o077)
        with lease.hold(UUID, threading.Event(), print, shared):
            told = users.call(users.ANOTHER, wait_for_it, shared)
    assert told == [f"GPU {UUID} is held by another run; waiting"]


def test_another_user_s_file_is_opened_without_creating_it(tmp_path, monkeypatch):
    """The kernel refuses O_CREAT on it where `fs.protected_regular` is set, as most systems do."""
    take(tmp_path, os.umask(0o022))
    real = os.open

    def protected(path, flags, *rest, **how):
        if flags & os.O_CREAT and os.path.lexists(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        assert flags & (os.O_WRONLY | os.O_RDWR) == 0  # nor is it the second user's to write to
        return real(path, flags, *rest, **how)

    monkeypatch.setattr(os, "open", protected)
    assert wait_for_it(tmp_path) == []


def test_two_that_make_the_file_at_once_hold_the_same(tmp_path, monkeypatch):
    """The second finds the file of the first, made between its look and its own file."""
    real = os.link

    def late(source, target):
        monkeypatch.setattr(os, "link", real)
        take(tmp_path, os.umask(0o022))
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    take(tmp_path, os.umask(0o022))
    assert [path.name for path in tmp_path.iterdir()] == [f"lms-harness-{UUID}.lock"]


def test_a_lease_file_that_was_cleaned_up_is_held_by_nobody(tmp_path):
    """What cleans /tmp up removes it while a run waits; a third run finds no file at all."""
    cancel = threading.Event()
    path = tmp_path / f"lms-harness-{UUID}.lock"
    held, let_go, waiting = threading.Event(), threading.Event(), threading.Event()

    def second():
        with lease.hold(UUID, cancel, lambda text: waiting.set(), tmp_path):
            held.set()
            let_go.wait(30)

    thread = threading.Thread(target=second)
    with lease.hold(UUID, cancel, print, tmp_path):
        thread.start()
        assert waiting.wait(30)
        path.unlink()
    assert held.wait(30)
    assert wait_for_it(tmp_path) == [f"GPU {UUID} is held by another run; waiting"]
    let_go.set()
    thread.join()


@pytest.mark.parametrize("planted", ["fifo", "directory"])
def test_what_is_no_plain_file_is_refused(tmp_path, planted):
    path = tmp_path / f"lms-harness-{UUID}.lock"
    if planted == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(EngineError, match="it is no plain file"):
        wait_for_it(tmp_path)


def unreadable(directory: Path) -> str:
    try:
        take(directory, 0o022)
    except EngineError as problem:
        return str(problem)
    return ""


def test_a_file_that_another_user_closed_says_what_to_do():
    with users.directory() as shared:
        path = shared / f"lms-harness-{UUID}.lock"
        path.touch(0o600)
        said = users.call(users.OTHER, unreadable, shared)
    assert "Permission denied" in said
    assert f"chmod 444 {path}" in said


def test_the_lease_of_a_process_that_dies_is_free(tmp_path):
    code = (
        "import sys, threading, time; from pathlib import Path; from harness.measure import lease\n"
        "with lease.hold(sys.argv[1], threading.Event(), print, Path(sys.argv[2])):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, UUID, str(tmp_path)]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert wait_for_it(tmp_path) == []
