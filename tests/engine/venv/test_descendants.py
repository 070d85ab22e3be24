"""Processes that leave their phase's process group, and end with the phase all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.engine.protocol import Launch
from harness.engine.venv import process
from harness.engine.venv.engine import VenvEngine
from harness.record.models import Outcome
from tests.engine.venv.test_engine import launch, with_fork_server
from tests.paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_CHILD_SUBREAPER")

# The grandchild has a session of its own and init's place above it; it says that it lives.
DETACH = """
    import os, signal, sys, time

    def detach(name):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.setsid()
                beat = os.path.join(os.environ["OUTPUT_DIR"], name)
                while True:
                    with open(beat + ".new", "w") as stream:
                        stream.write("%d %r" % (os.getpid(), time.time()))
                    os.rename(beat + ".new", beat)
                    time.sleep(0.02)
            os._exit(0)
        os.wait()
        while not os.path.exists(os.path.join(os.environ["OUTPUT_DIR"], name)):
            time.sleep(0.01)

    detach("first")
    detach("second")
    print("detached", flush=True)
"""


def warmed(phase: Launch) -> Launch:
    with_fork_server(phase)
    return replace(phase, environment=replace(phase.environment, preload=("decimal",)))


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def beating(output: Path) -> list[int]:
    """Pids of the processes that said that they live, and do."""
    pids = [int((output / name).read_text().split()[0]) for name in ("first", "second")]
    return [pid for pid in pids if runs(pid)]


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "forked"])
@pytest.mark.parametrize(
    ("then", "outcome"),
    [
        ("", Outcome.COMPLETED),
        ("raise SystemExit(3)", Outcome.FAILED),
        ("os.kill(os.getpid(), signal.SIGKILL)", Outcome.KILLED),
        ("time.sleep(60)", Outcome.TIMED_OUT),
        ("time.sleep(60)  # until the run is stopped", Outcome.INTERRUPTED),
    ],
    ids=["ended", "failed", "killed", "timed out", "stopped"],
)
def test_all_descendants_end_with_their_phase(
    tmp_path: Path, warm: bool, then: str, outcome: Outcome
) -> None:
    deadline_s = 6.0 if outcome is Outcome.TIMED_OUT else 60.0
    phase = launch(tmp_path, f"{DETACH}\n    {then}\n", deadline_s=deadline_s, threads=1)
    if warm:
        phase = warmed(phase)
    cancel = threading.Event()
    if outcome is Outcome.INTERRUPTED:

        def stop() -> None:
            log = phase.logs / "stdout.log"
            while not (log.exists() and "detached" in log.read_text()):
                time.sleep(0.02)
            cancel.set()

        threading.Thread(target=stop, daemon=True).start()
    engine = VenvEngine(tmp_path / "cache")
    try:
        ended = engine.execute(phase, lambda target: None, cancel)
        assert (phase.logs / "stdout.log").read_text() == "detached\n"
        assert ended.outcome is outcome, ended.reason
        assert beating(phase.output) == []
        if warm:  # its server goes on
            (phase.scenarios / "phase.py").write_text("import sys; print('decimal' in sys.modules)")
            ended = engine.execute(phase, lambda target: None, threading.Event())
            assert (phase.logs / "stdout.log").read_text() == "True\n"
    finally:
        engine.close()


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "forked"])
def test_descendants_end_with_their_phase_where_its_supervisor_is_killed(
    tmp_path: Path, warm: bool
) -> None:
    """As by the kernel's out-of-memory killer."""
    kill = "os.kill(SUPERVISOR, signal.SIGKILL); time.sleep(60)"
    supervisor = "os.getppid()"
    if warm:  # above the fork server
        supervisor = (
            "int(open('/proc/%d/stat' % os.getppid()).read().rpartition(')')[2].split()[1])"
        )
    phase = launch(tmp_path, f"{DETACH}\n    {kill.replace('SUPERVISOR', supervisor)}\n", threads=1)
    if warm:
        phase = warmed(phase)
    engine = VenvEngine(tmp_path / "cache")
    try:
        ended = engine.execute(phase, lambda target: None, threading.Event())
        assert ended.outcome is not Outcome.COMPLETED
        assert (phase.logs / "stdout.log").read_text() == "detached\n"
        assert beating(phase.output) == []
    finally:
        engine.close()
    assert list((tmp_path / "cache/scratch").iterdir()) == []


def test_descendants_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    phase = launch(tmp_path, f"{DETACH}\n    time.sleep(60)\n", deadline_s=60.0)
    code = f"""
import sys, threading
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from harness.engine.protocol import Environment, Launch
from harness.engine.venv.engine import VenvEngine
paths = Path({str(tmp_path)!r})
VenvEngine(paths / "cache").execute(
    Launch("k", "r", Environment("f", sys.executable), "phase.py", {{}}, paths / "scenarios",
           paths / "data", None, paths / "output", paths / "logs"),
    lambda target: None, threading.Event())
"""
    driver = subprocess.Popen([sys.executable, "-c", code])
    log = phase.logs / "stdout.log"
    while not (log.exists() and log.read_text()):
        assert driver.poll() is None
        time.sleep(0.02)
    assert len(beating(phase.output)) == 2
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 20
    while beating(phase.output):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("session", ["", "os.setsid()"], ids=["one session", "sessions"])
def test_what_forks_and_ends_again_and_again_is_caught(tmp_path: Path, session: str) -> None:
    """Each time it is looked for it is another process."""
    script = f"""
        import os, time
        if os.fork() == 0:
            {session or "pass"}
            end = time.monotonic() + 60
            while time.monotonic() < end:
                if os.fork():
                    os._exit(0)
                {session or "pass"}
            open(os.path.join(os.environ["OUTPUT_DIR"], "escaped"), "w").close()
            os._exit(0)
        time.sleep(0.2)
        print("gone", flush=True)
    """
    phase = launch(tmp_path, script, deadline_s=60.0)
    began = time.monotonic()
    ended = VenvEngine(tmp_path / "cache").execute(phase, lambda target: None, threading.Event())
    assert ended.outcome is Outcome.COMPLETED, ended.reason
    assert time.monotonic() - began < 8  # the supervisor's patience is longer
    marks = (f"HOME={tmp_path}", f"TMPDIR={tmp_path}")
    for process_ in psutil.process_iter():
        try:
            environ = process_.environ()
        except (psutil.Error, OSError):
            continue
        assert not any(f"{name}={value}".startswith(marks) for name, value in environ.items())


def test_a_supervisor_that_is_killed_takes_its_phase_along(tmp_path: Path) -> None:
    phase = launch(tmp_path, "import time; print('up', flush=True); time.sleep(60)")

    def kill(target: object) -> None:
        (pid,) = target.pids()  # type: ignore[attr-defined]
        psutil.Process(psutil.Process(pid).ppid()).kill()

    ended = VenvEngine(tmp_path / "cache").execute(phase, kill, threading.Event())
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "its supervisor was ended" in ended.reason
    assert not runs(ended.details["pid"])


def test_a_phase_inherits_nothing_of_its_supervisor(tmp_path: Path) -> None:
    script = """
        import os, signal
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        child = signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
        print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:4], blocked, child)
    """
    phase = launch(tmp_path, script)
    ended = VenvEngine(tmp_path / "cache").execute(phase, lambda target: None, threading.Event())
    assert ended.outcome is Outcome.COMPLETED, ended.reason
    # The fourth is the directory that is listed.
    assert (phase.logs / "stdout.log").read_text() == "[0, 1, 2, 3] set() True\n"


def test_a_name_in_the_process_table_is_hostile(tmp_path: Path) -> None:
    """`/proc/PID/stat` has the name in the middle, and it may look like the rest of the line."""
    program = tmp_path / ") S 1 ("
    program.symlink_to("/bin/sleep")
    started = process.Supervised(
        ["/bin/sh", "-c", 'setsid "$0" 60 & echo $!; exec sleep 60', str(program)],
        dict(os.environ),
        stdout=subprocess.PIPE,
    )
    assert started.stdout is not None
    pid = int(started.stdout.readline())
    os.kill(started.pid, signal.SIGKILL)
    assert started.wait(30) == -signal.SIGKILL
    assert not psutil.pid_exists(pid)
    started.stdout.close()
    started.close()
