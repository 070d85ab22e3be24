"""Environments that are made once, and again where they are damaged; real uv, nothing to install."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from harness.base.error import EngineError, StoppedError, UnavailableError
from harness.catalog.flavors import Flavor
from harness.engine.venv import environment, uv
from tests.paths import ROOT

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
REAL = str(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture
def flavor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flavor:
    monkeypatch.setenv("PYTHON_" + VERSION.replace(".", "_"), REAL)
    directory = tmp_path / "flavor"
    directory.mkdir()
    (directory / "requirements.txt").write_text("")
    return Flavor.model_construct(
        id="plain",
        directory=directory,
        python=VERSION,
        requirements={"virtual": "requirements.txt"},
        indexes={},
    )


def make(tmp_path: Path, flavor: Flavor, accelerator: str = "virtual") -> tuple[Path, list[str]]:
    """The interpreter of the flavor's environment, and what was said while it was made."""
    said: list[str] = []
    python, provenance = environment.make(
        tmp_path / "environments", flavor, accelerator, said.append, threading.Event()
    )
    lock = hashlib.sha256(b"").hexdigest()
    assert provenance["requirements"] == f"requirements.txt sha256:{lock}"
    assert provenance["packages"] == ""
    return python, said


def works(python: Path) -> bool:
    return subprocess.run([python, "-c", "import json"]).returncode == 0


def test_a_whole_environment_is_used_as_it_is(tmp_path: Path, flavor: Flavor) -> None:
    python, said = make(tmp_path, flavor)
    assert len(said) == 1
    assert works(python)
    assert make(tmp_path, flavor) == (python, [])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"packages": "a"}', b'{"packages": [1]}', b"\xff\xfe"]
)
def test_a_damaged_note_of_an_environment_is_no_end_of_it(
    tmp_path: Path, flavor: Flavor, content: bytes
) -> None:
    python, _ = make(tmp_path, flavor)
    facts = python.parent.parent / "ready.json"
    facts.write_bytes(content)
    again, said = make(tmp_path, flavor)
    assert again == python
    assert "is damaged and is made again: ready.json is not what was written" in said[0]
    assert json.loads(facts.read_text()) == {"packages": []}
    assert make(tmp_path, flavor)[1] == []


def test_a_note_that_is_a_directory(tmp_path: Path, flavor: Flavor) -> None:
    python, _ = make(tmp_path, flavor)
    facts = python.parent.parent / "ready.json"
    facts.unlink()
    facts.mkdir()
    assert "is damaged" in make(tmp_path, flavor)[1][0]
    assert facts.is_file()


@pytest.mark.parametrize("how", ["removed", "dangling", "not executable"])
def test_an_environment_without_its_interpreter_is_made_again(
    tmp_path: Path, flavor: Flavor, how: str
) -> None:
    python, _ = make(tmp_path, flavor)
    python.unlink()
    if how == "dangling":
        python.symlink_to(tmp_path / "gone")
    elif how == "not executable":
        python.write_text("")
    again, said = make(tmp_path, flavor)
    assert "its interpreter is gone" in said[0]
    assert works(again)


def test_a_driver_that_dies_leaves_no_environment_that_is_taken_for_whole(
    tmp_path: Path, flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What says that it is whole is written last, and goes first."""
    python, _ = make(tmp_path, flavor)
    python.unlink()
    seen = []

    def fail(arguments: list[str], cancel: threading.Event) -> str:
        seen.append((python.parent.parent / "ready.json").exists())
        raise EngineError("uv venv failed: disk full")

    with monkeypatch.context() as patched:
        patched.setattr(uv, "run", fail)
        with pytest.raises(EngineError, match="disk full"):
            make(tmp_path, flavor)
    assert seen == [False]
    assert not python.parent.parent.exists()
    assert works(make(tmp_path, flavor)[0])


def test_no_requirements_for_the_accelerator_is_one_line(tmp_path: Path, flavor: Flavor) -> None:
    with pytest.raises(UnavailableError, match=r"no requirements of plain for accelerator gpu"):
        make(tmp_path, flavor, "gpu")
    (flavor.directory / "requirements.txt").unlink()
    with pytest.raises(UnavailableError, match=r"requirements\.txt: No such file"):
        make(tmp_path, flavor)


def slow_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a `uv` in place that starts a child in a session of its own and never ends.

    Returns:
        The file that gets the pids of both.
    """
    pids = tmp_path / "pids"
    program = tmp_path / "uv"
    program.write_text(
        "#!/bin/sh\ntrap '' TERM INT\nsetsid sleep 600 &\n"
        f'echo $$ $! > {pids}.new\nmkdir -p {tmp_path}/environments\nmv {pids}.new {pids}\nwait\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))
    return pids


def awaited(path: Path) -> list[int]:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_stopped_run_ends_uv_and_what_it_started(
    tmp_path: Path, flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = slow_uv(tmp_path, monkeypatch)
    cancel, running = threading.Event(), []

    def stop() -> None:
        running.extend(awaited(pids))
        cancel.set()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(StoppedError):
        environment.make(tmp_path / "environments", flavor, "virtual", print, cancel)
    thread.join()
    assert len(running) == 2
    assert not any(psutil.pid_exists(pid) for pid in running)
    assert list((tmp_path / "environments").rglob("ready.json")) == []
    monkeypatch.undo()
    monkeypatch.setenv("PYTHON_" + VERSION.replace(".", "_"), REAL)
    assert works(make(tmp_path, flavor)[0])


def test_uv_does_not_outlive_a_killed_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = slow_uv(tmp_path, monkeypatch)
    code = (
        "import threading; from harness.engine.venv import uv\n"
        f"uv.find_uv_bin = lambda: {str(tmp_path / 'uv')!r}\n"
        "uv.run(['venv'], threading.Event())"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    running = awaited(pids)
    driver.kill()
    driver.wait()
    assert gone(running, 20)


def test_the_wait_for_another_run_s_environment_can_be_stopped(
    tmp_path: Path, flavor: Flavor
) -> None:
    python, _ = make(tmp_path, flavor)
    lock = python.parent.parent.with_suffix(".lock")
    code = (
        "import sys, fcntl; lock = open(sys.argv[1], 'r+'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    cancel, said = threading.Event(), []

    def progress(text: str) -> None:
        said.append(text)
        threading.Timer(0.3, cancel.set).start()

    with pytest.raises(StoppedError):
        environment.make(tmp_path / "environments", flavor, "virtual", progress, cancel)
    assert said == ["plain: another run makes the same environment; waiting"]
    os.kill(holder.pid, signal.SIGKILL)  # the kernel frees what it held
    holder.wait()
    assert make(tmp_path, flavor) == (python, [])
    holder.stdin.close()
    holder.stdout.close()
