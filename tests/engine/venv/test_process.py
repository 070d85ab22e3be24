from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from harness.base.error import EngineError
from harness.engine.venv import process
from harness.engine.venv.fork_server import ForkServer
from tests.paths import ROOT

SERVER = ROOT / "scenarios" / "forks" / "server.py"


def command(tmp_path: Path, script: str, **environment: str) -> process.Command:
    path = tmp_path / "phase.py"
    path.write_text(dedent(script))
    return process.Command(
        python=sys.executable,
        script=path,
        environment={"PATH": "/usr/bin:/bin", **environment},
        directory=tmp_path,
        stdout=tmp_path / "stdout.log",
        stderr=tmp_path / "stderr.log",
    )


@pytest.fixture
def server():
    started = ForkServer(sys.executable, SERVER, ["decimal"], {"PATH": "/bin", "LEFT": "1"})
    yield started
    started.close()


def test_a_fork_is_like_a_fresh_process(tmp_path, server):
    script = """
        import json, os, sys
        print(json.dumps({
            "environ": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(),
            "name": __name__, "first": sys.path[0], "warm": "decimal" in sys.modules,
            "leader": os.getsid(0) == os.getpid(), "input": sys.stdin.read(),
            "files": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:3],
        }))
        print("err", file=sys.stderr)
    """
    asked = command(tmp_path, script, MARK="here")
    assert server.start(asked).wait(10) == 0
    seen = json.loads(asked.stdout.read_text())
    assert seen["environ"] == {"PATH": "/usr/bin:/bin", "MARK": "here"}
    assert seen["argv"] == [str(asked.script)]
    assert seen["cwd"] == str(tmp_path)
    assert (seen["name"], seen["first"]) == ("__main__", str(tmp_path))
    assert seen["warm"]
    assert seen["leader"]
    assert seen["input"] == ""
    assert asked.stderr.read_text() == "err\n"


def test_forks_share_nothing(tmp_path, server):
    script = "import decimal; print(getattr(decimal, 'mark', None)); decimal.mark = 1"
    for _ in range(2):
        asked = command(tmp_path, script)
        assert server.start(asked).wait(10) == 0
        assert asked.stdout.read_text() == "None\n"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("raise ValueError('bad')", 1),
        ("import sys; sys.exit('a message')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import atexit; atexit.register(print, 'bye')", 0),
    ],
)
def test_exit_codes_are_those_of_a_cold_start(tmp_path, server, script, code):
    warm, cold = command(tmp_path, script), command(tmp_path, script)
    assert server.start(warm).wait(10) == code
    output = warm.stdout.read_text()
    assert process.start(cold).wait(10) == code
    assert cold.stdout.read_text() == output


def test_wait_tells_running_from_ended(tmp_path, server):
    running = server.start(command(tmp_path, "import time; time.sleep(30)"))
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.1)
    os.killpg(running.pid, signal.SIGTERM)
    assert running.wait(10) == -signal.SIGTERM
    assert running.wait(0) == -signal.SIGTERM


def test_what_a_module_prints_does_not_disturb(tmp_path):
    (tmp_path / "noisy.py").write_text("print('hello from the import')")
    started = ForkServer(
        sys.executable, SERVER, ["noisy"], {"PYTHONPATH": str(tmp_path), "PATH": "/bin"}
    )
    assert started.start(command(tmp_path, "")).wait(10) == 0
    started.close()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("raise RuntimeError('no such library')", "no such library"),
        ("import threading, time; threading.Thread(target=time.sleep, args=(9,)).start()", "2 thr"),
    ],
)
def test_a_module_that_is_not_safe_to_preload_is_refused(tmp_path, module, reason):
    (tmp_path / "unsafe.py").write_text(module)
    with pytest.raises(OSError, match=reason):
        ForkServer(
            sys.executable, SERVER, ["unsafe"], {"PYTHONPATH": str(tmp_path), "PATH": "/bin"}
        )


def test_a_server_that_is_killed_is_noticed(tmp_path, server):
    running = server.start(command(tmp_path, "import time; time.sleep(30)"))
    parent = int(Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(EngineError, match="what it was forked from was ended"):
            running.wait(10)
    assert not Path(f"/proc/{running.pid}").exists()
    with pytest.raises(OSError):  # noqa: PT011 - a broken pipe or the server's own message
        server.start(command(tmp_path, ""))


def test_a_phase_whose_logs_cannot_be_made_has_not_failed(tmp_path, server):
    (tmp_path / "stdout.log").mkdir()
    with pytest.raises(OSError, match="the fork server ended"):
        server.start(command(tmp_path, ""))
