"""What a process of a phase says before it ends itself by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.forks.test_group import NAMES
from tests.scenarios.phases import SCENARIOS

LINE = "[lms-harness] this process sends a signal to itself: {}\n"


def run(tmp_path: Path, python: Path, code: str, *paths: Path) -> tuple[int, str]:
    """Exit code and standard error of a script, started as the harness starts one."""
    script = tmp_path / "script.py"
    script.write_text(f"import os, signal, subprocess, sys, time\n{code}\n")
    done = subprocess.run(
        [str(python), "-s", "-u", "-B", str(script)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(map(str, (SCENARIOS, *paths)))},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    return done.returncode, done.stderr


CHILD = 'subprocess.call([sys.executable, "-c", "{}"])\ntime.sleep(30)'


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("os.kill(os.getpid(), 9)", signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGTERM)", signal.SIGTERM),
        ("os.kill(0, signal.SIGHUP)", signal.SIGHUP),
        ("os.killpg(os.getpgrp(), signal.SIGTERM)", signal.SIGTERM),
        ("os.kill(-os.getpgrp(), signal.SIGQUIT)", signal.SIGQUIT),
        (CHILD.format("import os; os.kill(os.getppid(), 15)"), signal.SIGTERM),
        ("if os.fork() == 0: os.kill(os.getppid(), 9)\ntime.sleep(2)", signal.SIGKILL),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_who_ends_itself_says_so_first(
    tmp_path: Path, name: str, code: str, number: signal.Signals
) -> None:
    assert run(tmp_path, NAMES[name], code) == (-number, LINE.format(int(number)))


def test_a_raised_signal_is_told_too(tmp_path: Path) -> None:
    code = "signal.raise_signal(signal.SIGTERM)"
    assert run(tmp_path, list(NAMES.values())[-1], code) == (-15, LINE.format(15))


@pytest.mark.parametrize(
    "code",
    [
        "signal.signal(signal.SIGTERM, lambda *told: None); os.kill(os.getpid(), signal.SIGTERM)",
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN); os.kill(os.getpid(), signal.SIGUSR1)",
        "os.kill(os.getpid(), 0)",
        "child = subprocess.Popen(['sleep', '30']); child.kill(); child.wait()",
        "child = subprocess.Popen(['sleep', '30']); os.kill(child.pid, 15); child.wait()",
        "try: os.kill('one', 9)\nexcept TypeError: pass",
        "try: os.kill(os.getpid(), 'one')\nexcept TypeError: pass",
        "os.close(2); os.kill(os.getpid(), 0)",
        "import multiprocessing as m\nif __name__ == '__main__':\n"
        "    p = m.get_context('fork').Process(target=time.sleep, args=(30,)); p.start()\n"
        "    p.terminate(); p.join()",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_is_told(tmp_path: Path, name: str, code: str) -> None:
    assert run(tmp_path, NAMES[name], code) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_another_module_of_the_name_is_imported_too(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import sys; sys.of_the_other = 7")
    code = "raise SystemExit(sys.of_the_other)"
    assert run(tmp_path, NAMES[name], code, other) == (7, "")
