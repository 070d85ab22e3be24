from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from harness.catalog.flavors import Flavor
from harness.engine.protocol import Client, Environment, Launch
from harness.engine.venv.engine import VenvEngine
from harness.record.models import Outcome
from tests import users
from tests.paths import ROOT
from tests.projects import provider


@pytest.fixture
def engine(tmp_path):
    return VenvEngine(tmp_path / "cache")


def launch(tmp_path: Path, script: str, **changes) -> Launch:
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir(exist_ok=True)
    (scenarios / "phase.py").write_text(dedent(script))
    for name in ("output", "logs", "data"):
        (tmp_path / name).mkdir(exist_ok=True)
    given = {
        "key": "flavor.family.scenario.phase",
        "run_id": "run",
        "environment": Environment("flavor", sys.executable),
        "script": "phase.py",
        "variables": {"LMS_PROVIDER": "off"},
        "scenarios": scenarios,
        "data": tmp_path / "data",
        "input": None,
        "output": tmp_path / "output",
        "logs": tmp_path / "logs",
        "deadline_s": 20.0,
    }
    return Launch(**{**given, **changes})


def with_fork_server(phase: Launch) -> Path:
    """The folder of modules that a flavor's fork server can import for these phases."""
    common, forks = phase.scenarios / "common", phase.scenarios / "forks"
    common.mkdir()
    forks.mkdir()
    server = ROOT / "scenarios" / "forks" / "server.py"
    (forks / "server.py").write_text(server.read_text())
    return common


def execute(engine, launch, cancel=None):
    targets = []
    ended = engine.execute(launch, targets.append, cancel or threading.Event())
    return ended, targets


def test_contract_of_a_phase(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "of the host")
    script = """
        import json, os, sys
        open(os.path.join(os.environ["OUTPUT_DIR"], "seen.json"), "w").write(json.dumps(
            {"environ": dict(os.environ), "cwd": os.listdir("."), "path": sys.path[:2]}))
        print("out"); print("err", file=sys.stderr)
    """
    phase = launch(tmp_path, script, threads=1, input=tmp_path)
    ended, targets = execute(engine, phase)
    assert (ended.outcome, ended.code) == (Outcome.COMPLETED, 0)
    assert len(targets) == 1
    assert (tmp_path / "logs/stdout.log").read_text() == "out\n"
    assert (tmp_path / "logs/stderr.log").read_text() == "err\n"
    seen = json.loads((tmp_path / "output/seen.json").read_text())
    environ = seen["environ"]
    assert "SECRET" not in environ
    assert environ["LMS_PROVIDER"] == "off"
    assert environ["INPUT_DIR"] == str(tmp_path)
    assert environ["DATA_DIR"] == str(tmp_path / "data")
    assert environ["PYTHONPATH"] == str(tmp_path / "scenarios")
    assert environ["TF_NUM_INTRAOP_THREADS"] == "1"
    assert environ["CUDA_VISIBLE_DEVICES"] == ""
    assert environ["HOME"].startswith(str(tmp_path / "cache/scratch"))
    assert list((tmp_path / "cache/scratch").iterdir()) == []


HOST = {
    "CUDA_HOME": "/opt/cuda-12",
    "CUDA_PATH": "/opt/cuda-12",
    "CUDA_ROOT": "relative",
    "XLA_FLAGS": "--xla_gpu_cuda_data_dir=/opt/cuda-12",
}
SAYS = "import os; print([os.environ.get(n) for n in %r], os.environ['PATH'])" % [*HOST]


def prepared(engine, monkeypatch, accelerator, *names):
    """The environment of a flavor that names these variables, on a host that has them all."""
    for name, value in HOST.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    monkeypatch.setenv("PYTHON_test_flavor", sys.executable)
    flavor = Flavor(
        id="test-flavor", directory=Path(), description="of the tests", keras="tf.keras",
        mode="session", python="3.11", requirements={}, host_variables=names,
        image=[{"accelerator": "gpu", "base": "none", "requirements": "none.txt"}],
    )  # fmt: skip
    return engine.prepare(flavor, accelerator, lambda line: None, threading.Event())


def test_a_phase_on_a_gpu_gets_of_the_host_what_its_flavor_names(engine, tmp_path, monkeypatch):
    environment = prepared(engine, monkeypatch, "gpu", "CUDA_HOME", "CUDA_ROOT", "XLA_FLAGS")
    ended, _ = execute(engine, launch(tmp_path, SAYS, environment=environment, gpu="GPU-1"))
    assert ended.code == 0
    said = (tmp_path / "logs" / "stdout.log").read_text().strip()
    told = {name: value for name, value in HOST.items() if name != "CUDA_PATH"}
    assert said.startswith(f"{[told.get(name) for name in HOST]} ")
    # A directory that is not named in full would be one of where the phase stands.
    assert said.endswith("/usr/local/bin:/usr/bin:/bin:/opt/cuda-12/bin")
    # Numbers follow from all of it, so it is in the record, and in what a phase is known by.
    facts = {name: value for name, value in environment.provenance.items() if "of the host" in name}
    assert facts == {
        **{f"{name} of the host": value for name, value in told.items()},
        "LD_LIBRARY_PATH of the host": "/opt/lib",
    }


def test_the_client_of_a_phase_on_a_gpu_gets_none_of_it(engine, tmp_path, monkeypatch):
    environment = prepared(engine, monkeypatch, "gpu", *HOST)
    served = launch(
        tmp_path, SAYS, environment=environment, gpu="GPU-1",
        client=Client("phase.py", output=tmp_path / "output", logs=tmp_path / "logs"),
    )  # fmt: skip
    ended, _ = execute(engine, served.of_client("http://127.0.0.1:1"))
    assert ended.code == 0
    assert "/opt/cuda-12" not in (tmp_path / "logs" / "stdout.log").read_text()


def test_without_a_gpu_a_phase_gets_none_of_it(engine, tmp_path, monkeypatch):
    environment = prepared(engine, monkeypatch, "virtual", *HOST)
    ended, _ = execute(engine, launch(tmp_path, SAYS, environment=environment))
    assert ended.code == 0
    said = (tmp_path / "logs" / "stdout.log").read_text().strip()
    assert said.startswith(f"{[None] * len(HOST)} ")
    assert said.endswith("/usr/local/bin:/usr/bin:/bin")
    assert not [name for name in environment.provenance if "of the host" in name]


def test_phases_of_a_run_share_what_their_frameworks_compile(engine, tmp_path):
    script = """
        import os, pathlib
        place = pathlib.Path(os.environ["COMPILATION_CACHE"])
        print(place, sorted(entry.name for entry in place.iterdir()), flush=True)
        (place / os.environ["NAME"]).touch()
    """
    said = []
    for run, name in (("one", "a"), ("one", "b"), ("other", "c")):
        phase = launch(tmp_path, script, run_id=run, variables={"NAME": name})
        assert execute(engine, phase)[0].code == 0
        said.append((tmp_path / "logs/stdout.log").read_text().split(maxsplit=1))
    (place, first), (same, second), (another, third) = said
    assert (place == same, place == another) == (True, False)
    assert (first, second, third) == ("[]\n", "['a']\n", "[]\n")
    engine.close()
    assert not Path(place).exists()


def test_on_a_gpu_nothing_compiled_is_shared(engine, tmp_path):
    script = "import os; print(os.environ.get('COMPILATION_CACHE'))"
    assert execute(engine, launch(tmp_path, script, gpu="GPU-1"))[0].code == 0
    assert (tmp_path / "logs/stdout.log").read_text() == "None\n"


def test_a_provider_s_file_is_where_it_is(engine, tmp_path):
    file = tmp_path / "mine.py"
    mine = provider("mine", file=file, class_name="Mine")
    phase = launch(tmp_path, "import os; print(os.environ['LMS_PROVIDER'])", provider=mine)
    execute(engine, phase)
    assert (tmp_path / "logs/stdout.log").read_text() == f"{file}:Mine\n"


def test_exit_code_of_a_phase(engine, tmp_path):
    ended, _ = execute(engine, launch(tmp_path, "raise SystemExit(3)"))
    assert (ended.outcome, ended.code) == (Outcome.FAILED, 3)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "forked"])
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1"])
def test_a_signal_from_outside_is_no_failure_of_the_phase(engine, tmp_path, warm, number):
    phase = launch(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    if warm:
        common = with_fork_server(phase)
        phase = replace(
            phase,
            environment=replace(
                phase.environment, preload=("decimal",), variables={"PYTHONPATH": str(common)}
            ),
        )

    def started(target):
        def kill():
            while (tmp_path / "logs/stdout.log").read_text() != "up\n":
                time.sleep(0.02)
            (pid,) = target.pids()
            os.kill(pid, getattr(signal, number))

        threading.Thread(target=kill).start()

    ended = engine.execute(phase, started, threading.Event())
    engine.close()
    assert (ended.outcome, ended.code) == (Outcome.KILLED, 128 + getattr(signal, number))
    assert f"ended by a signal ({number}" in ended.reason


@pytest.mark.parametrize(
    ("script", "number"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", signal.SIGSEGV),
        ("import ctypes; ctypes.string_at(0)", signal.SIGSEGV),
        ("import os; os.abort()", signal.SIGABRT),
        ("import signal, time; signal.alarm(1); time.sleep(60)", signal.SIGALRM),
    ],
)
def test_a_signal_that_a_process_brings_upon_itself_is_its_failure(
    engine, tmp_path, script, number
):
    ended, _ = execute(engine, launch(tmp_path, script))
    assert (ended.outcome, ended.code) == (Outcome.FAILED, 128 + number)


@pytest.fixture
def little_memory():
    """A cgroup with 64 MiB; skips for a user who may not make one."""
    for root, limit in (("memory", "memory.limit_in_bytes"), (".", "memory.max")):
        place = Path("/sys/fs/cgroup", root, f"lms-harness-test-{os.getpid()}")
        try:
            place.mkdir()
            (place / limit).write_text(str(64 * 2**20))
        except OSError:
            if place.is_dir():
                place.rmdir()
            continue
        yield place
        place.rmdir()
        return
    pytest.skip("only root can make a cgroup")


def test_what_the_out_of_memory_killer_ends_is_told_apart(engine, tmp_path, little_memory):
    script = """
        import os, time
        while not os.path.exists(os.path.join(os.environ["DATA_DIR"], "go")):
            time.sleep(0.02)
        data = bytearray(2**30)
        for at in range(0, 2**30, 4096):
            data[at] = 1
    """

    def started(target):
        (pid,) = target.pids()
        (little_memory / "cgroup.procs").write_text(str(pid))
        (tmp_path / "data" / "go").touch()

    ended = engine.execute(launch(tmp_path, script), started, threading.Event())
    assert (ended.outcome, ended.code) == (Outcome.OUT_OF_MEMORY, 137)
    assert "out-of-memory killer" in ended.reason


def test_deadline_stops_the_whole_tree(engine, tmp_path):
    script = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(child.pid, flush=True)
        time.sleep(60)
    """
    begin = time.monotonic()
    ended, _ = execute(engine, launch(tmp_path, script, deadline_s=1.0))
    assert ended.outcome is Outcome.TIMED_OUT
    assert "1 s" in ended.reason
    assert time.monotonic() - begin < 15
    child = int((tmp_path / "logs/stdout.log").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"


def test_cancel_stops_a_phase_that_ignores_term(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.engine.venv.process.GRACE_S", 0.3)
    script = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(60)
    """
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    ended, _ = execute(engine, launch(tmp_path, script), cancel)
    assert ended.outcome is Outcome.INTERRUPTED


def test_target_names_the_tree(engine, tmp_path):
    script = """
        import subprocess, sys
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1)"])
    """
    seen: set[int] = set()

    def started(target):
        def watch():
            for _ in range(15):
                seen.update(target.pids())
                time.sleep(0.05)

        threading.Thread(target=watch).start()

    engine.execute(launch(tmp_path, script), started, threading.Event())
    assert len(seen) >= 2


def test_interpreter_that_is_gone_is_an_engine_error(engine, tmp_path):
    phase = launch(tmp_path, "", environment=Environment("flavor", "/nowhere/python"))
    ended, _ = execute(engine, phase)
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "could not start" in ended.reason


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "forked"])
def test_of_a_long_log_the_beginning_and_the_end_are_kept(engine, tmp_path, monkeypatch, warm):
    """As in a container: the phase goes on, and ends as it would have."""
    monkeypatch.setattr("harness.engine.venv.streams.LIMIT", 2**18)
    script = """
        import sys
        for number in range(100_000):
            sys.stdout.write(f"{number:07d}\\n")
        sys.exit(5)
    """
    phase = launch(tmp_path, script)
    if warm:
        with_fork_server(phase)
        phase = replace(phase, environment=replace(phase.environment, preload=("decimal",)))
    ended, _ = execute(engine, phase)
    engine.close()
    assert (ended.outcome, ended.code, ended.reason) == (Outcome.FAILED, 5, "exit code 5")
    assert ended.details["logs"]["stdout.log"] == {
        "bytes": 8 * 100_000,
        "left out": 8 * 100_000 - 2**18,
    }
    text = (tmp_path / "logs/stdout.log").read_text()
    assert text.startswith("0000000\n0000001\n")
    assert "\n[lms-harness] 537856 bytes of this log are left out here\n" in text
    assert text.endswith("\n0099999\n")


def test_a_killed_driver_leaves_nothing_that_runs(engine, tmp_path):
    phase = launch(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    code = f"""
        import sys, threading
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from harness.engine.protocol import Environment, Launch
        from harness.engine.venv.engine import VenvEngine
        paths = Path({str(tmp_path)!r})
        VenvEngine(paths / "cache").execute(
            Launch("k", "r", Environment("f", sys.executable), "phase.py", {{}},
                   paths / "scenarios", paths / "data", None, paths / "output", paths / "logs"),
            lambda target: None, threading.Event())
    """
    driver = subprocess.Popen([sys.executable, "-c", dedent(code)])
    log = phase.logs / "stdout.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine.reap() == []  # the driver lives
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    pid = int(log.read_text())
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    names = sorted(path.name for path in (tmp_path / "cache/scratch").iterdir())
    assert len(names) == 2
    assert names[0].startswith("r.k.")
    assert names[1] == f"{names[0]}.lock"
    engine.reap()
    assert list((tmp_path / "cache/scratch").iterdir()) == []
    assert list((tmp_path / "cache/compiled").iterdir()) == []


_LOST = """
    import os, signal, sys, threading
    from pathlib import Path
    sys.path.insert(0, {root!r})
    import psutil
    from harness.engine.protocol import Environment, Launch
    from harness.engine.venv.engine import VenvEngine
    paths = Path({paths!r})
    VenvEngine(paths / "cache").execute(
        Launch("k", "r", Environment("f", sys.executable), "phase.py", {{}}, paths / "scenarios",
               paths / "data", None, paths / "output", paths / "logs"),
        lambda target: None, threading.Event())
"""


def test_next_start_ends_what_lost_driver_and_supervisor(engine, tmp_path):
    """What was killed at once leaves a process of a session of its own that nobody looks after."""
    script = """
        import os, subprocess, sys, time
        code = "import os, time; os.setsid(); os.fork() and os._exit(0); time.sleep(600)"
        subprocess.run([sys.executable, "-c", code], env={"TMPDIR": os.environ["TMPDIR"]})
        print(os.getppid(), flush=True)
        time.sleep(600)
    """
    phase = launch(tmp_path, script)
    code = dedent(_LOST).format(root=str(ROOT), paths=str(tmp_path))
    driver = subprocess.Popen([sys.executable, "-c", code])
    log = phase.logs / "stdout.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)
    supervisor = psutil.Process(int(log.read_text()))
    (left,) = set(supervisor.children()) - {_phase_of(supervisor)}
    assert engine.reap() == []  # the driver lives
    driver.send_signal(signal.SIGSTOP)  # or it would see the other's end
    supervisor.kill()
    driver.kill()
    driver.wait()
    assert left.is_running()
    assert engine.reap() == [f"process {left.pid} of a driver that is gone"]
    assert not psutil.pid_exists(left.pid) or left.status() == psutil.STATUS_ZOMBIE
    assert list((tmp_path / "cache/scratch").iterdir()) == []
    assert engine.reap() == []


def _phase_of(supervisor: psutil.Process) -> psutil.Process:
    (found,) = (child for child in supervisor.children() if "phase.py" in " ".join(child.cmdline()))
    return found


def test_processes_of_others_are_left_alone(engine, tmp_path):
    """A home that only begins like a scratch directory of ours, and none at all."""
    scratch = tmp_path / "cache/scratch"
    (scratch / "r.k.01234567").mkdir(parents=True)
    environs = [{}, {"HOME": str(scratch)}, {"HOME": f"{scratch}/r.k.012345678"}, {"HOME": "/"}]
    others = [subprocess.Popen(["/bin/sleep", "60"], env=environ) for environ in environs]
    assert engine.reap() == []
    assert list(scratch.iterdir()) == []
    for other in others:
        assert other.poll() is None
        other.kill()
        other.wait()


def test_a_preloaded_module_sees_the_flavor_s_variables(engine, tmp_path):
    """Keras 3 reads its backend when it is imported."""
    phase = launch(
        tmp_path,
        "from common import chosen; print(chosen.BACKEND, chosen.OF_PHASE)",
        environment=Environment(
            "flavor", sys.executable, preload=("common.chosen",), variables={"BACKEND": "torch"}
        ),
        variables={"LMS_PROVIDER": "off", "BACKEND": "torch", "OF_PHASE": "1"},
        threads=1,
    )
    common = with_fork_server(phase)
    (common / "chosen.py").write_text(
        "import os\nBACKEND, OF_PHASE = os.environ.get('BACKEND'), os.environ.get('OF_PHASE')\n"
    )
    try:
        ended, _ = execute(engine, phase)
    finally:
        engine.close()
    assert ended.outcome is Outcome.COMPLETED, ended.reason
    assert (tmp_path / "logs" / "stdout.log").read_text() == "torch None\n"


def test_flavors_with_one_interpreter_share_no_fork_server(engine, tmp_path):
    """Each has modules and variables of its own, and both may stand on one interpreter."""
    phase = launch(tmp_path, "import sys; print(sys.modules['common.first'].BACKEND)", threads=1)
    common = with_fork_server(phase)
    for name in ("first", "second"):
        (common / f"{name}.py").write_text("import os\nBACKEND = os.environ.get('BACKEND')\n")
    seen = []
    try:
        for flavor, module, backend in (
            ("one", "first", "torch"),
            ("two", "first", "jax"),
            ("two", "second", "jax"),
        ):
            variables = {"BACKEND": backend}
            environment = Environment(
                flavor, sys.executable, preload=(f"common.{module}",), variables=variables
            )
            ended, _ = execute(engine, replace(phase, environment=environment))
            seen.append((ended.code, (tmp_path / "logs/stdout.log").read_text()))
    finally:
        engine.close()
    assert seen == [(0, "torch\n"), (0, "jax\n"), (1, "")]
    assert list((tmp_path / "cache/scratch").iterdir()) == []  # nor a server's home


def test_an_engine_that_was_closed_forks_again(engine, tmp_path):
    phase = launch(tmp_path, "import sys; print('decimal' in sys.modules)", threads=1)
    with_fork_server(phase)
    phase = replace(phase, environment=replace(phase.environment, preload=("decimal",)))
    for _ in range(2):
        ended, _ = execute(engine, phase)
        engine.close()
        assert ended.outcome is Outcome.COMPLETED, ended.reason
        assert (tmp_path / "logs/stdout.log").read_text() == "True\n"


def test_phases_start_above_descriptor_1023(engine, tmp_path):
    """Descriptors of a driver that holds many files are beyond what select() knows."""
    phase = launch(tmp_path, "print('ran')", threads=1)
    with_fork_server(phase)
    warm = replace(phase, environment=replace(phase.environment, preload=("decimal",)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip(f"this user may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        for each in (phase, warm):
            ended, _ = execute(engine, each)
            assert ended.outcome is Outcome.COMPLETED, ended.reason
            assert (tmp_path / "logs/stdout.log").read_text() == "ran\n"
    finally:
        engine.close()
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def leave_unreadable(directory: str) -> None:
    """Runs a phase whose scratch directory its owner may not enter afterwards."""
    script = """
        import os
        os.makedirs("deep/deeper")
        open("deep/deeper/file", "w").close()
        os.chmod("deep/deeper", 0)
        os.chmod("deep", 0)
        os.chmod(os.environ["HOME"], 0)
        try:
            os.listdir("deep")
        except PermissionError:
            print("refused")
    """
    path = Path(directory)
    ended, _ = execute(VenvEngine(path / "cache"), launch(path, script))
    assert ended.outcome is Outcome.COMPLETED, ended.reason
    assert (path / "logs/stdout.log").read_text() == "refused\n"


def test_scratch_that_its_owner_may_not_enter_is_removed(tmp_path):
    code = f"from tests.engine.venv import test_engine as t; t.leave_unreadable({str(tmp_path)!r})"
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, preexec_fn=users.obey_modes, check=True, timeout=60
    )
    assert list((tmp_path / "cache/scratch").iterdir()) == []
