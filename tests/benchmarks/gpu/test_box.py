"""A command within a time box: real processes, some of which do not want to end."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from benchmarks.gpu import box
from tests.small_runs import wait_for

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


def run(
    tmp_path: Path, code: str, limit_s: float = 30, stop: threading.Event | None = None
) -> tuple[box.Ended, str]:
    """How Python code ended within a box, and what was shown of it."""
    shown: list[str] = []
    ended = box.run(
        [sys.executable, "-u", "-c", code],
        limit_s,
        tmp_path / "step.log",
        shown.append,
        stop or threading.Event(),
        {"TOLD": "by the step"},
        grace_s=1.0,
    )
    assert (tmp_path / "step.log").read_text() == "".join(shown)
    return ended, "".join(shown)


def test_a_command_that_ends_by_itself(tmp_path):
    code = "import os, sys; print(os.environ['TOLD'], file=sys.stderr); sys.exit(3)"
    ended, shown = run(tmp_path, code)
    assert (ended.code, ended.word) == (3, "exit code 3")
    assert shown == "by the step\n"


def test_one_that_is_not_there(tmp_path):
    ended = box.run(["/nowhere"], 5, tmp_path / "log", print, threading.Event())
    assert (ended.code, ended.word) == (127, "not started: No such file or directory")


def test_one_that_is_stopped_in_time_may_say_what_it_has(tmp_path):
    code = """if True:
        import signal, sys, time
        def leave(*arguments):
            print("half of it")
            sys.exit(2)
        signal.signal(signal.SIGTERM, leave)
        print("begun")
        time.sleep(60)
    """
    ended, shown = run(tmp_path, code, limit_s=1.0)
    assert (ended.code, ended.word) == (2, "stopped at its time box")
    assert shown == "begun\nhalf of it\n"


def test_one_that_hears_nothing_is_killed(tmp_path):
    ended, shown = run(tmp_path, DEAF + "print('deaf'); time.sleep(60)", limit_s=1.0)
    assert (ended.code, ended.word) == (-9, "killed at its time box")
    assert shown == "deaf\n"
    assert ended.seconds < 30


def test_what_it_leaves_behind_ends_with_it(tmp_path):
    # The child holds the pipe as well: its output is not waited for.
    child = DEAF + "time.sleep(600)"
    code = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {child!r}])"
    ended, shown = run(tmp_path, code + "; print(c.pid)")
    assert ended.code == 0
    wait_for(lambda: not _lives(int(shown)))


def test_a_wish_to_stop_ends_it_at_once(tmp_path):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()
    ended, _ = run(tmp_path, "import time; time.sleep(60)", stop=stop)
    assert (ended.code, ended.word) == (-15, "stopped")
    assert time.monotonic() - began < 30


def test_bytes_that_are_no_text_are_shown_too(tmp_path):
    code = r"import sys; sys.stdout.buffer.write(b'\xff\n')"
    _, shown = run(tmp_path, code)
    assert shown == "\N{REPLACEMENT CHARACTER}\n"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
