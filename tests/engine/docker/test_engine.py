import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from harness.base.error import UsageError
from harness.engine import owner
from harness.engine.docker import container
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Environment, Exit, Launch
from harness.measure.target import Target
from harness.record.models import Outcome
from tests.paths import ROOT
from tests.projects import provider

MIB = 2**20

Make = Callable[..., Launch]


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Makes a launch of a script; in the base image where the test runs containers."""
    handle = "sha256:" + "0" * 64
    if request.node.get_closest_marker("docker"):
        handle = request.getfixturevalue("base_image")

    def make(script: str = "", **changes: Any) -> Launch:
        for name in ("scenarios", "data", "input", "output", "logs"):
            (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / "scenarios" / "phase.py").write_text(textwrap.dedent(script))
        launch = Launch(
            key="family.scenario.load",
            run_id=f"test-{os.getpid()}-{tmp_path.name}",
            environment=Environment("flavor", handle),
            script="phase.py",
            variables={"LMS_PROVIDER": "builtin"},
            scenarios=tmp_path / "scenarios",
            data=tmp_path / "data",
            input=tmp_path / "input",
            output=tmp_path / "output",
            logs=tmp_path / "logs",
            deadline_s=60,
        )
        return replace(launch, **changes)

    return make


def execute(launch: Launch, **arguments: Any) -> Exit:
    return DockerEngine(**arguments).execute(launch, lambda target: None, threading.Event())


def stdout(launch: Launch) -> str:
    return (launch.logs / "stdout.log").read_text()


def left(daemon: Daemon, launch: Launch) -> list[str]:
    """Containers of the launch that are still there."""
    filters = {"label": f"{LABEL}.run={launch.run_id}"}
    return [entry["Id"] for entry in daemon.client().containers(all=True, filters=filters)]


# --- what a phase sees ----------------------------------------------------------------------------

_LOOK_AROUND = """
    import json, os, pathlib
    def attempt(path):
        try:
            pathlib.Path(path, "probe").write_text("x")
            return "written"
        except OSError as problem:
            return problem.strerror
    def first(*paths):
        return next(pathlib.Path(p).read_text().strip() for p in paths if os.path.exists(p))
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    print(json.dumps({
        "ids": [os.getuid(), os.getgid(), os.getgroups()],
        "status": {key: value.strip() for key, value in status.items()},
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "writes": {path: attempt(path) for path in (
            "/", "/etc", "/scenarios", "/data", "/input", "/output",
            "/tmp", os.environ["HOME"], os.environ["TMPDIR"], os.getcwd())},
        "pids": first("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
        "memory": first("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        "environment": dict(os.environ),
        "first process": pathlib.Path("/proc/1/cmdline").read_bytes().split(b"\\0")[0].decode(),
        "core": __import__("resource").getrlimit(__import__("resource").RLIMIT_CORE),
    }))
"""


@pytest.mark.docker
def test_hardening_as_seen_from_inside(make: Make) -> None:
    launch = make(_LOOK_AROUND, memory=512 * MIB, threads=3)
    ended = execute(launch)
    assert ended.outcome is Outcome.COMPLETED, (launch.logs / "stderr.log").read_text()
    seen = json.loads(stdout(launch))

    uid, gid, groups = seen["ids"]
    assert uid != 0
    assert gid != 0
    assert set(groups) <= {gid}
    if os.getuid() != 0:
        assert (uid, gid) == (os.getuid(), os.getgid())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(seen["status"][name], 16) == 0, name
    assert seen["status"]["NoNewPrivs"] == "1"
    assert seen["status"]["Seccomp"] == "2"
    assert seen["interfaces"] == ["lo"]
    assert seen["pids"] == "4096"
    assert seen["memory"] == str(512 * MIB)
    assert seen["core"] == [0, 0]
    assert "init" in seen["first process"]

    writes = seen["writes"]
    for path in ("/", "/etc", "/scenarios", "/data", "/input"):
        assert writes[path] in ("Read-only file system", "Permission denied"), path
    variables = seen["environment"]
    for path in ("/output", "/tmp", "/work", variables["HOME"], variables["TMPDIR"]):
        assert writes[path] == "written", path
    assert (launch.output / "probe").read_text() == "x"
    assert variables["PYTHONPATH"] == "/scenarios"
    assert variables["LMS_PROVIDER"] == "builtin"
    assert variables["DATA_DIR"] == "/data"
    assert variables["INPUT_DIR"] == "/input"
    assert variables["OUTPUT_DIR"] == "/output"
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "LMS_PATH" not in variables
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        assert variables[name] == "3"


@pytest.mark.docker
def test_artifacts_can_be_read_and_removed_by_the_caller(make: Make) -> None:
    launch = make(
        """
        import os
        os.umask(0o077)
        os.makedirs("/output/a/b")
        open("/output/a/b/c", "w").write("x")
        """
    )
    assert execute(launch).outcome is Outcome.COMPLETED
    assert (launch.output / "a/b/c").read_text() == "x"
    (launch.output / "a/b/c").unlink()
    (launch.output / "a/b").rmdir()


@pytest.mark.docker
def test_artifacts_are_the_next_phase_s_input(make: Make, tmp_path: Path) -> None:
    first = make("import os; os.umask(0o077); open('/output/w', 'w').write('weights')")
    assert execute(first).outcome is Outcome.COMPLETED
    (tmp_path / "second").mkdir()
    second = make("print(open('/input/w').read())", input=first.output, output=tmp_path / "second")
    assert execute(second).outcome is Outcome.COMPLETED
    assert stdout(second) == "weights\n"


@pytest.mark.docker
def test_foreign_provider_is_mounted_read_only(make: Make, tmp_path: Path) -> None:
    (tmp_path / "lms").mkdir()
    (tmp_path / "lms" / "there").touch()
    launch = make(
        "import os; print(os.environ['LMS_PATH'], os.listdir('/lms'), 'INPUT_DIR' in os.environ)",
        lms_path=tmp_path / "lms",
        input=None,
    )
    assert execute(launch).outcome is Outcome.COMPLETED
    assert stdout(launch) == "/lms ['there'] False\n"


@pytest.mark.docker
def test_a_provider_s_file_is_mounted_read_only_and_alone(make: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Mine: pass\n")
    (tmp_path / "secret").touch()
    launch = make(
        """
        import os
        path, name = os.environ["LMS_PROVIDER"].rsplit(":", 1)
        print(path, name, os.listdir(os.path.dirname(path)), os.access(path, os.W_OK))
        """,
        provider=provider("mine", file=tmp_path / "mine.py", class_name="Mine"),
    )
    assert execute(launch).outcome is Outcome.COMPLETED
    assert stdout(launch) == "/provider/mine.py Mine ['mine.py'] False\n"


# --- logs -----------------------------------------------------------------------------------------

_BURST = """
    import os
    data = bytes(range(256)) * 20480
    for begin in range(0, len(data), 65536):
        os.write(1, data[begin:begin + 65536])
        os.write(2, data[begin:begin + 65536][::-1])
"""


@pytest.mark.docker
def test_a_burst_is_complete_byte_for_byte_and_separate(make: Make) -> None:
    launch = make(_BURST)
    ended = execute(launch)
    data = bytes(range(256)) * 20480
    assert ended.outcome is Outcome.COMPLETED
    assert (launch.logs / "stdout.log").read_bytes() == data
    assert (launch.logs / "stderr.log").read_bytes() == data[::-1]
    assert ended.details["logs"]["stdout.log"] == {"bytes": 5 * MIB, "left out": 0}


@pytest.mark.docker
def test_a_log_without_bound_keeps_its_head_and_tail(make: Make) -> None:
    launch = make(_BURST + "    print('the end')")
    ended = execute(launch, log_limit=MIB)
    log = (launch.logs / "stdout.log").read_bytes()
    assert ended.outcome is Outcome.COMPLETED
    assert len(log) < 1.01 * MIB
    assert log.startswith(bytes(range(256)))
    assert b"bytes of this log are left out here" in log
    assert log.endswith(b"the end\n")
    assert ended.details["logs"]["stdout.log"]["left out"] == 4 * MIB + len("the end\n")


@pytest.mark.docker
def test_logs_are_on_disk_while_the_phase_runs(make: Make) -> None:
    launch = make("import time; print('early', flush=True); time.sleep(60)")
    cancel = threading.Event()
    seen = []

    def watch() -> None:
        for _ in range(200):
            path = launch.logs / "stdout.log"
            if path.exists() and path.read_text() == "early\n":
                seen.append(True)
                break
            time.sleep(0.05)
        cancel.set()

    thread = threading.Thread(target=watch)
    thread.start()
    DockerEngine(grace_s=0.1).execute(launch, lambda target: None, cancel)
    thread.join()
    assert seen


# --- ends -----------------------------------------------------------------------------------------


@pytest.mark.docker
@pytest.mark.parametrize(
    ("script", "outcome", "code", "reason"),
    [
        ("pass", Outcome.COMPLETED, 0, ""),
        ("raise SystemExit(3)", Outcome.FAILED, 3, "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", Outcome.KILLED, 137, "SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", Outcome.FAILED, 139, "SIGSEGV"),
        ("import os; os.abort()", Outcome.FAILED, 134, "SIGABRT"),
    ],
)
def test_exit_codes(
    make: Make, daemon: Daemon, script: str, outcome: Outcome, code: int, reason: str
) -> None:
    launch = make(script, memory=256 * MIB)
    ended = execute(launch)
    assert (ended.outcome, ended.code) == (outcome, code)
    assert reason in ended.reason
    assert ended.details["image"] == launch.environment.handle
    assert ended.details["state"]["ExitCode"] == code
    assert left(daemon, launch) == []
    json.dumps(ended.details)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("number", "code"),
    [("SIGKILL", None), ("SIGTERM", None), ("SIGHUP", None), ("SIGTERM", 5), ("SIGHUP", 1)],
)
def test_what_somebody_else_has_the_daemon_kill_has_not_failed(
    make: Make, daemon: Daemon, number: str, code: int | None
) -> None:
    """By its events the daemon tells it from what the script does to itself."""
    launch = make(
        f"""
        import os, signal, time
        if {code} is not None:
            signal.signal(signal.{number}, lambda *told: os._exit({code}))
        print("up", flush=True)
        time.sleep(60)
        """
    )

    def started(target: Target) -> None:
        def kill() -> None:
            while stdout(launch) != "up\n":
                time.sleep(0.02)
            daemon.client().kill(target._container, number)  # type: ignore[attr-defined]

        threading.Thread(target=kill).start()

    ended = DockerEngine().execute(launch, started, threading.Event())
    assert ended.outcome is Outcome.KILLED, ended
    assert ended.code == (code or 128 + getattr(signal, number))
    assert "the daemon was asked to end the container, not by the harness" in ended.reason


@pytest.mark.docker
def test_a_process_that_is_killed_from_the_host_has_not_failed(make: Make, daemon: Daemon) -> None:
    launch = make("import time; print('up', flush=True); time.sleep(60)")

    def started(target: Target) -> None:
        def kill() -> None:
            while stdout(launch) != "up\n":
                time.sleep(0.02)
            os.kill(max(target.pids()), signal.SIGKILL)

        threading.Thread(target=kill).start()

    ended = DockerEngine().execute(launch, started, threading.Event())
    assert (ended.outcome, ended.code) == (Outcome.KILLED, 137)


@pytest.mark.docker
def test_a_kill_for_the_memory_limit_is_told_apart(make: Make) -> None:
    launch = make("x = bytearray(512 * 2**20); x[::4096] = x[::4096]", memory=64 * MIB)
    ended = execute(launch)
    assert ended.outcome is Outcome.OUT_OF_MEMORY
    assert "memory limit" in ended.reason


@pytest.mark.docker
def test_the_deadline_sends_term_first(make: Make) -> None:
    launch = make(
        """
        import signal, sys, time
        def stop(number, frame):
            print("stopping"); sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        time.sleep(60)
        """,
        deadline_s=2,
    )
    began = time.monotonic()
    ended = execute(launch, grace_s=20)
    assert ended.outcome is Outcome.TIMED_OUT
    assert ended.code is None
    assert "2 s" in ended.reason
    assert stdout(launch) == "stopping\n"
    assert time.monotonic() - began < 15


@pytest.mark.docker
def test_the_deadline_kills_what_ignores_term(make: Make, daemon: Daemon) -> None:
    launch = make(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready")
        while True: time.sleep(1)
        """,
        deadline_s=2,
    )
    began = time.monotonic()
    ended = execute(launch, grace_s=1)
    assert ended.outcome is Outcome.TIMED_OUT
    assert ended.details["state"]["ExitCode"] == 137
    assert 3 <= time.monotonic() - began < 15
    assert left(daemon, launch) == []


@pytest.mark.docker
def test_cancel_stops_the_phase_at_once(make: Make, daemon: Daemon) -> None:
    launch = make("import time; time.sleep(60)")
    cancel, when = threading.Event(), []

    def started(target: Target) -> None:
        time.sleep(0.5)
        when.append(time.monotonic())
        cancel.set()

    ended = DockerEngine(grace_s=5).execute(launch, started, cancel)
    assert ended.outcome is Outcome.INTERRUPTED
    assert time.monotonic() - when[0] < 5
    assert left(daemon, launch) == []


@pytest.mark.docker
def test_a_run_that_was_stopped_before_starts_nothing(make: Make, daemon: Daemon) -> None:
    launch, cancel = make(), threading.Event()
    cancel.set()
    ended = DockerEngine().execute(launch, lambda target: pytest.fail("started"), cancel)
    assert ended.outcome is Outcome.INTERRUPTED
    assert left(daemon, launch) == []


@pytest.mark.docker
def test_several_phases_at_once(make: Make, tmp_path: Path) -> None:
    launches = []
    for number in range(4):
        for name in ("output", "logs"):
            (tmp_path / f"{name}{number}").mkdir()
        launches.append(
            make(
                "import os; print(os.environ['N'])",
                variables={"N": str(number)},
                output=tmp_path / f"output{number}",
                logs=tmp_path / f"logs{number}",
            )
        )
    engine, ends = DockerEngine(), []
    threads = [
        threading.Thread(
            target=lambda launch=launch: ends.append(
                engine.execute(launch, lambda target: None, threading.Event())
            )
        )
        for launch in launches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ended.outcome for ended in ends] == [Outcome.COMPLETED] * 4
    assert [stdout(launch) for launch in launches] == ["0\n", "1\n", "2\n", "3\n"]


# --- infrastructure -------------------------------------------------------------------------------


@pytest.mark.docker
def test_an_image_that_is_not_there_is_never_pulled(make: Make) -> None:
    launch = make()
    ended = execute(replace(launch, environment=Environment("f", "sha256:" + "0" * 64)))
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "No such image" in ended.reason


@pytest.mark.docker
def test_a_directory_that_is_not_there_is_not_made(make: Make, tmp_path: Path) -> None:
    ended = execute(make(data=tmp_path / "gone"))
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "gone" in ended.reason
    assert not (tmp_path / "gone").exists()


def test_a_daemon_that_is_not_there_is_an_engine_error(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    ended = execute(make())
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "nothing listens" in ended.reason
    assert DockerEngine().reap() == []
    assert DockerEngine().facts() == {"engine": "docker"}


@pytest.mark.docker
def test_the_image_stays_the_same_when_its_tag_moves(make: Make, daemon: Daemon) -> None:
    client, launch = daemon.client(), make()
    first = str(launch.environment.handle)
    repository = "lms-harness-test/moved"
    client.tag(first, repository, "latest")
    other = client.commit(
        client.create_container(first, ["true"], labels=owner.labels("test"))["Id"]
    )
    try:
        client.tag(other["Id"], repository, "latest")
        assert client.inspect_image(repository)["Id"] != first
        ended = execute(launch)
        assert ended.outcome is Outcome.COMPLETED
        assert ended.details["image"] == first
    finally:
        for entry in client.containers(all=True, filters={"label": f"{LABEL}=test"}):
            client.remove_container(entry["Id"], force=True)
        client.remove_image(repository)


@pytest.mark.docker
def test_target_names_the_processes_and_the_cgroup_on_the_host(make: Make, daemon: Daemon) -> None:
    if not daemon.local or not Path("/proc/self/cgroup").exists():
        pytest.skip("the container's processes are not this machine's")
    seen: list[str] = []
    while_it_ran: list[Path | None] = []
    names: list[str] = []
    targets = []
    launch = make("import time; time.sleep(60)")
    cancel = threading.Event()

    def started(target: Target) -> None:
        targets.append(target)
        names.extend(left(daemon, launch))
        for _ in range(400):
            for pid in target.pids():
                with contextlib.suppress(OSError):
                    seen.append(Path(f"/proc/{pid}/cmdline").read_text())
            if any("phase.py" in command for command in seen):
                break
            time.sleep(0.05)
        while_it_ran.append(target.cgroup())
        cancel.set()

    DockerEngine(grace_s=0.1).execute(launch, started, cancel)
    assert any("phase.py" in command for command in seen)
    (directory,) = while_it_ran
    if str(daemon.info.get("CgroupVersion", "1")) == "2":
        assert directory is not None
        assert names[0] in str(directory)
    else:
        assert directory is None, "version 1 has no directory for everything"
    assert targets[0].pids() == set()


# --- leftovers ------------------------------------------------------------------------------------

_DRIVER = """
import sys, threading
from pathlib import Path
from harness.engine.protocol import Environment, Launch
from harness.engine.docker.engine import DockerEngine
root, image, run = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
launch = Launch(
    key="left", run_id=run, environment=Environment("f", image), script="phase.py", variables={},
    scenarios=root / "scenarios", data=root / "data", input=None, output=root / "output",
    logs=root / "logs", deadline_s=300)
DockerEngine().execute(launch, lambda target: print("started", flush=True), threading.Event())
"""


@pytest.mark.docker
def test_reap_removes_what_a_killed_driver_left_and_nothing_else(
    make: Make, daemon: Daemon, tmp_path: Path
) -> None:
    launch = make("import time; time.sleep(300)")
    unlabelled = daemon.client().create_container(launch.environment.handle, ["true"])["Id"]
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(tmp_path), launch.environment.handle, launch.run_id],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "started\n"
        DockerEngine().reap()
        assert len(left(daemon, launch)) == 1, "a living driver's container was removed"
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        assert len(left(daemon, launch)) == 1
        lines = [line for line in DockerEngine().reap() if launch.run_id in line]
        assert len(lines) == 1
        assert left(daemon, launch) == []
        assert daemon.client().inspect_container(unlabelled)["Id"] == unlabelled
    finally:
        driver.kill()
        driver.wait()
        daemon.client().remove_container(unlabelled, force=True)
        for name in left(daemon, launch):
            daemon.client().remove_container(name, force=True)


# --- GPUs and shells ------------------------------------------------------------------------------


def gpu_daemon() -> Daemon:
    daemon = Daemon()
    daemon.__dict__.update(
        info={"Runtimes": {"nvidia": {}}}, version={"ApiVersion": "1.41"}, address="unix:///x"
    )
    return daemon


def test_the_gpu_is_handed_over_by_uuid(make: Make) -> None:
    client = APIClient(base_url="unix:///nonexistent", version="1.41")
    launch = make(gpu="GPU-1c2d", memory=MIB)
    created = container.configuration(client, gpu_daemon(), launch)
    host = created["HostConfig"]
    assert [request["DeviceIDs"] for request in host["DeviceRequests"]] == [["GPU-1c2d"]]
    assert [request["Count"] for request in host["DeviceRequests"]] == [0]
    assert "NVIDIA_VISIBLE_DEVICES=GPU-1c2d" in created["Env"]
    assert host["NetworkMode"] == "none"
    assert host["MemorySwap"] == host["Memory"] == MIB
    assert host["Init"] is True
    assert created["Image"] == launch.environment.handle
    assert all(mount["Type"] == "bind" for mount in host["Mounts"])
    assert [mount["Target"] for mount in host["Mounts"] if not mount["ReadOnly"]] == ["/output"]


def test_without_a_gpu_none_is_requested(make: Make) -> None:
    client = APIClient(base_url="unix:///nonexistent", version="1.41")
    created = container.configuration(client, gpu_daemon(), make())
    assert not created["HostConfig"].get("DeviceRequests")
    assert "NVIDIA_VISIBLE_DEVICES=void" in created["Env"]


@pytest.mark.docker
def test_preflight_refuses_a_gpu_without_the_toolkit(daemon: Daemon) -> None:
    if "nvidia" in daemon.info["Runtimes"] or daemon._nvidia_driver:
        pytest.skip("this daemon has the toolkit")
    engine = DockerEngine()
    engine.preflight(None)
    with pytest.raises(UsageError, match="nvidia-container-toolkit"):
        engine.preflight("GPU-1c2d")


_SHELL = """
import sys
from pathlib import Path
from harness.engine.protocol import Environment, Launch
from harness.engine.docker.engine import DockerEngine
root, image, run = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
launch = Launch(
    key="shell", run_id=run, environment=Environment("f", image), script="phase.py",
    variables={"LMS_PROVIDER": "off"}, scenarios=root / "scenarios", data=root / "data",
    input=None, output=root / "output", logs=root / "logs")
sys.exit(DockerEngine().shell(launch))
"""


@pytest.mark.docker
def test_a_shell_has_the_phase_s_environment(make: Make, daemon: Daemon, tmp_path: Path) -> None:
    launch = make("print('the phase')")
    done = subprocess.run(
        [sys.executable, "-c", _SHELL, str(tmp_path), launch.environment.handle, launch.run_id],
        input='pwd; echo "$LMS_PROVIDER"; python3 /scenarios/phase.py; :> /output/y; exit 5\n',
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "the phase: python3 -s -u /scenarios/phase.py",
        "/work",
        "off",
        "the phase",
    ], done.stderr
    assert done.returncode == 5
    assert (launch.output / "y").exists()
    assert left(daemon, launch) == []
