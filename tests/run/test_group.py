"""Groups for real: phases that are forks of one process, on the venv engine, and their records."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from harness.catalog import catalog
from harness.engine.venv.engine import VenvEngine
from harness.plan import planner
from harness.record.models import Outcome
from harness.run import run
from harness.run.settings import Settings
from tests.engines import Silent
from tests.projects import FLAVOR, lay_out

# Each kind of phase does what its name says; all leave an artifact and say the same facts.
SAVE = """
import json, os, signal, subprocess, sys, time
kind = os.environ["VARIANT_KIND"]
output = os.environ["OUTPUT_DIR"]
print(":::LMS " + json.dumps({"event": "note", "text": kind + " " + os.environ["COLOR"]}))
print("to stderr: " + kind, file=sys.stderr)
sys.stdout.flush()
with open(os.path.join(output, "kind"), "w") as file:
    file.write(kind)
with open(os.path.join(os.environ["HOME"], "home"), "w") as file:
    file.write(kind)
assert sorted(os.listdir(".")) == [] and "INPUT_DIR" not in os.environ
if kind == "fails":
    raise SystemExit(5)
if kind == "hangs":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
if kind == "killed":
    os.kill(os.getpid(), signal.SIGSEGV)
if kind == "links":
    os.symlink("/etc", os.path.join(output, "etc"))
    os.mkfifo(os.path.join(output, "fifo"))
if kind == "leaves":
    code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
    left = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with open(os.path.join(output, "left"), "wb") as file:
        file.write(left.stdout.readline())
if kind == "forges":
    said = os.open("/proc/%d/fd/1" % os.getppid(), os.O_WRONLY | os.O_APPEND)
    for number in range(12):
        status = {"phase": number, "code": 0, "stopped": None, "began": 0, "seconds": 1}
        os.write(said, (json.dumps(status) + "\\n").encode() + b"{no line")
    raise SystemExit(7)
if kind == "replaces":
    os.rename(output, output + ".away")
    os.symlink("/etc", output)
    os.unlink(output + ".stderr")
    os.mkfifo(output + ".stderr")
if kind == "erases":
    os.unlink(os.path.join(output, os.pardir, "0.stdout"))
if kind == "knows":
    with open(os.path.join(output, os.pardir, os.pardir, "stdout.log")) as file:
        key = json.loads(file.readline())["key"]
    said = os.open(file.name, os.O_WRONLY)
    status = {"key": key, "phase": 2, "code": 0, "stopped": None, "began": 0, "seconds": 1}
    os.pwrite(said, b"\\n" + json.dumps(status).encode() + b"\\n", 1 << 16)
    raise SystemExit(7)
if kind == "lengthens":
    os.truncate(os.path.join(output, "kind"), 2**36)
if kind == "driver":
    time.sleep(0.5)  # what it has written is taken meanwhile
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
if kind == "waits":
    time.sleep(60)
print(":::LMS " + json.dumps({"event": "done"}))
"""
LOAD = """
import json, os
with open(os.path.join(os.environ["INPUT_DIR"], "kind")) as file:
    assert file.read() == os.environ["VARIANT_KIND"]
try:
    open(os.path.join(os.environ["INPUT_DIR"], "kind"), "w")
except OSError:
    pass
with open(os.path.join(os.environ["OUTPUT_DIR"], "seen"), "w") as file:
    json.dump(sorted(os.listdir(os.environ["INPUT_DIR"])), file)
print(":::LMS " + json.dumps({"event": "done"}))
"""


def family(*kinds: str, timeout_s: float = 30) -> str:
    values = "".join(
        f'[[variants.kind]]\nid = "{kind}"\ndescription = "{kind}"\n' for kind in kinds
    )
    return f"""
[variants]
axes = ["kind"]
description = "it {{kind}}"

[[variants.phase]]
id = "save"
script = "save.py"
role = "convert"
timeout_s = {timeout_s}
variables = {{ COLOR = "red" }}

[[variants.phase]]
id = "load"
script = "load.py"
role = "convert"
{values}
"""


class Watched(Silent):
    """An observer that calls a function when phases start."""

    def __init__(self, started=lambda logs: None) -> None:
        super().__init__()
        self._started = started

    def phase_started(self, task, logs: Path) -> None:
        self._started(logs)


class Engine(VenvEngine):
    """Keeps what it was asked to run."""

    def execute(self, launch, started, cancel):
        self.launches.append(launch)
        return super().execute(launch, started, cancel)


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs a family of these kinds; returns records by `<kind>.<phase>`, and their directory."""
    monkeypatch.setenv("PYTHON_test_flavor", sys.executable)

    def execute(*kinds, preload=(), observer=None, timeout_s=30.0, **changes):
        root = tmp_path / "checkout"
        lay_out(
            root,
            flavors={"test-flavor": f"preload = {json.dumps(preload)}\n{FLAVOR}"},
            families={"state": family(*kinds, timeout_s=timeout_s)},
            scripts={"save.py": SAVE, "load.py": LOAD},
        )
        (root / "scenarios" / "threads.py").write_text(
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        )
        execute.engine = engine = Engine(tmp_path / "cache")
        engine.launches = []
        made = planner.make(catalog.load(root))
        settings = Settings(
            root=root, reports=tmp_path / "reports", data=root, **{"keep": True, **changes}
        )
        record, directory = run.execute(made, engine, settings, None, observer or Silent())
        prefix = "test-flavor.state."
        return {entry.key.removeprefix(prefix): entry for entry in record.phases}, directory

    return execute


def launched(execute):
    return sorted(launch.key for launch in execute.engine.launches)


@pytest.mark.parametrize("preload", [[], ["json"], ["threads"], ["no.such.module"]])
def test_phases_of_a_group_are_as_if_each_had_run_alone(execute, preload):
    records, directory = execute("one", "two", "three", preload=preload)
    assert launched(execute) == ["test-flavor.state.load.1", "test-flavor.state.save.1"]
    assert {record.outcome for record in records.values()} == {Outcome.COMPLETED}, records
    for kind in ("one", "two", "three"):
        save = records[f"{kind}.save"]
        place = directory / save.directory
        assert save.directory == f"phases/test-flavor.state.{kind}.save"
        assert (save.exit_code, save.facts.done, save.samples) == (0, True, None)
        assert save.facts.notes == [f"{kind} red"]
        assert f"to stderr: {kind}" in (place / "stderr.log").read_text()
        assert (place / "artifacts" / "kind").read_text() == kind
        assert json.loads((place / "details.json").read_text())["group"].endswith("save.1")
        assert 0 < save.duration_s < 30
        seen = directory / records[f"{kind}.load"].directory / "artifacts" / "seen"
        assert json.loads(seen.read_text()) == ["kind"]
    assert not list(directory.glob("groups/*/*put"))
    begins = [records[f"{kind}.save"].started for kind in ("one", "two", "three")]
    assert begins == sorted(begins)
    log = (directory / "groups" / "test-flavor.state.save.1" / "stderr.log").read_text()
    assert ("phases start from nothing" in log) is (preload not in ([], ["json"]))


def test_each_ends_in_its_own_way_and_harms_no_other(execute):
    kinds = ("good", "fails", "hangs", "killed", "links", "leaves", "forges", "replaces", "last")
    records, directory = execute(*kinds, timeout_s=2.0)
    saves = {kind: records[f"{kind}.save"] for kind in kinds}
    assert {kind: (entry.outcome, entry.exit_code) for kind, entry in saves.items()} == {
        "good": (Outcome.COMPLETED, 0),
        "fails": (Outcome.FAILED, 5),
        "hangs": (Outcome.TIMED_OUT, None),
        "killed": (Outcome.FAILED, 128 + signal.SIGSEGV),
        "links": (Outcome.COMPLETED, 0),
        "leaves": (Outcome.COMPLETED, 0),
        "forges": (Outcome.FAILED, 7),
        "replaces": (Outcome.ENGINE_ERROR, None),
        "last": (Outcome.COMPLETED, 0),
    }
    assert saves["hangs"].reason == "still running after 2 s"
    assert "segmentation fault" in saves["killed"].reason
    assert saves["replaces"].reason == "its log 7.stderr is no plain file any more"
    for kind in ("good", "links", "leaves", "last"):
        assert records[f"{kind}.load"].outcome is Outcome.COMPLETED
        assert saves[kind].facts.notes == [f"{kind} red"]
    for kind in ("fails", "hangs", "killed", "forges", "replaces"):
        assert records[f"{kind}.load"].outcome is Outcome.NOT_RUN
        assert "did not complete" in records[f"{kind}.load"].reason
    artifacts = directory / saves["links"].directory / "artifacts"
    assert sorted(path.name for path in artifacts.iterdir()) == ["kind"]
    left = int((directory / saves["leaves"].directory / "artifacts" / "left").read_text())
    assert not psutil.pid_exists(left)
    assert 12 > saves["hangs"].duration_s > 2


def test_what_a_phase_does_to_logs_and_statuses_makes_none_pass(execute):
    kinds = ("good", "erases", "knows", "lengthens", "last")
    records, _ = execute(*kinds)
    saves = {kind: records[f"{kind}.save"] for kind in kinds}
    assert {kind: entry.outcome for kind, entry in saves.items()} == {
        "good": Outcome.ENGINE_ERROR,
        "erases": Outcome.COMPLETED,
        "knows": Outcome.ENGINE_ERROR,
        "lengthens": Outcome.ENGINE_ERROR,
        "last": Outcome.COMPLETED,
    }
    assert saves["good"].reason == "its log 0.stdout is not there any more"
    assert saves["knows"].reason == "its group has told its end twice"
    assert saves["lengthens"].reason.endswith("artifacts are larger than 32 GiB")


def test_the_death_of_the_group_leaves_what_had_ended(execute):
    records, directory = execute("good", "driver", "after")
    assert records["good.save"].outcome is Outcome.COMPLETED
    assert records["good.load"].outcome is Outcome.COMPLETED
    for kind in ("driver", "after"):
        save = records[f"{kind}.save"]
        assert save.outcome is Outcome.KILLED
        assert save.reason.startswith("its group ended: ended by a signal (SIGKILL, killed)")
        assert records[f"{kind}.load"].outcome is Outcome.NOT_RUN
    said = directory / records["driver.save"].directory / "stderr.log"
    assert said.read_text() == "to stderr: driver\n"


def test_an_interrupted_group_leaves_what_had_ended(execute):
    def interrupt(logs: Path) -> None:
        def wait() -> None:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and not (logs / "output" / "1.stderr").exists():
                time.sleep(0.05)
            while time.monotonic() < deadline and b'"phase": 0' not in _read(logs / "stdout.log"):
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

        if not threads:
            threads.append(threading.Thread(target=wait, daemon=True))
            threads[0].start()

    threads: list[threading.Thread] = []
    begin = time.monotonic()
    records, _ = execute("good", "waits", "after", observer=Watched(interrupt))
    assert time.monotonic() - begin < 25
    assert records["good.save"].outcome is Outcome.COMPLETED
    assert {records[f"{kind}.save"].outcome for kind in ("waits", "after")} == {Outcome.INTERRUPTED}


def test_a_task_that_is_left_of_its_group_runs_as_any_phase(execute):
    records, _ = execute("good", "fails")
    assert launched(execute) == ["test-flavor.state.good.load", "test-flavor.state.save.1"]
    assert records["good.load"].outcome is Outcome.COMPLETED
    assert "group" not in records["good.load"].details


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
