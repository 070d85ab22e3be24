"""Executions of phases: a phase that serves and its client are one phase to everything above."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.base.error import EXIT_FAILED, EXIT_NOT_JUDGED
from harness.catalog import catalog
from harness.catalog.flavors import Flavor
from harness.catalog.providers import BUILTIN
from harness.engine.protocol import Client, Engine, Environment, Exit, Launch
from harness.engine.venv.engine import VenvEngine
from harness.plan import planner
from harness.record import times
from harness.record.models import Outcome, PhaseRecord, RunRecord
from harness.record.times import Points, Times
from harness.report import totals
from harness.run import run
from harness.run.phase import facts_of
from harness.run.settings import Settings
from tests.engine import serving_cases
from tests.engines import ScriptedEngine, Silent, write_log
from tests.paths import ROOT
from tests.projects import lay_out, provider

FAMILY = """
[[scenario]]
id = "save-serve"
description = "save, then serve"
control = false

[[scenario.phase]]
id = "save"
script = "save.py"
role = "train"

[[scenario.phase]]
id = "serve"
script = "load.py"
client = "predict.py"
role = "predict"
"""

DONE = ':::LMS {"event": "done"}'


def metric(name: str) -> str:
    """A marker line."""
    fields = {"event": "metric", "name": name, "value": 1.0, "epoch": 1, "split": "test"}
    return ":::LMS " + json.dumps(fields)


def execute(
    tmp_path: Path, engine: Engine, scripts: dict[str, str], **changes: object
) -> RunRecord:
    project = lay_out(tmp_path / "checkout", families={"basic": FAMILY}, scripts=scripts)
    shutil.copy(ROOT / "scenarios" / "sitecustomize.py", project / "scenarios")
    made = planner.make(catalog.load(project).swapping_by([provider("off")]))
    settings = Settings(root=project, reports=tmp_path / "reports", data=project, **changes)
    return run.execute(made, engine, settings, None, Silent())[0]


def serve_phase(record: RunRecord) -> PhaseRecord:
    return next(phase for phase in record.phases if phase.key.endswith(".serve"))


class ThisPython(VenvEngine):
    """Runs phases with the tests' own interpreter."""

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        return Environment(flavor.id, sys.executable)


class Forking(ThisPython):
    """Forks phases from a process that has imported the project's own stand-in of a framework."""

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        return Environment(flavor.id, sys.executable, preload=("framework",))


def test_what_is_preloaded_reads_a_provider_s_variables(tmp_path: Path) -> None:
    """With them a framework is another one: no fork of a process that imported it without."""
    told = "import framework; print(framework.PAGES, framework.PARENT)"
    project = lay_out(
        tmp_path / "checkout", scripts={"save.py": told, "load.py": told, "predict.py": told}
    )
    shutil.copy(ROOT / "scenarios" / "sitecustomize.py", project / "scenarios")
    # A fork's own parent is what imported the module.
    (project / "scenarios" / "framework.py").write_text(
        "import os\nPAGES = os.environ.get('PAGES')\nPARENT = 'forked' if 'OUTPUT_DIR' not in"
        " os.environ else 'cold'\n"
    )
    paging = provider("paging", variables={"PAGES": "1"})
    own = catalog.load(project).select(scenarios=["save-load"]).swapping_by([BUILTIN, paging])
    settings = Settings(root=project, reports=tmp_path / "reports", data=project)
    engine = Forking(tmp_path / "cache")
    try:
        record, directory = run.execute(planner.make(own), engine, settings, None, Silent())
    finally:
        engine.close()
    seen = {
        phase.key: (directory / "phases" / phase.key / "stdout.log").read_text()
        for phase in record.phases
    }
    basic = "test-flavor.basic.save-load"
    assert seen == {
        f"{basic}.save": "None forked\n",
        f"{basic}.load": "None forked\n",
        f"{basic}.load.control": "None forked\n",
        f"{basic}.save.paging": "1 cold\n",
        f"{basic}.load.paging": "1 cold\n",
        f"{basic}.load.control.paging": "None forked\n",
    }


def test_a_client_reaches_its_server_and_both_read_what_was_saved(tmp_path: Path) -> None:
    scripts = {
        "save.py": """
            import os
            open(os.path.join(os.environ["OUTPUT_DIR"], "model"), "w").write("weights")
            print(':::LMS {"event": "done"}')
        """,
        "load.py": serving_cases.server(
            ready=f"""
                open(os.path.join(os.environ["INPUT_DIR"], "model")).read()
                print('{metric("server")}')
                say(event="ready", port=server.server_address[1])
            """
        ),
        "predict.py": serving_cases.ASK
        + f"ask()\nprint('{metric('client')}')\n"
        + "print(open(os.path.join(os.environ['INPUT_DIR'], 'model')).read())\n"
        + "open(os.path.join(os.environ['OUTPUT_DIR'], 'answer'), 'w').close()\n"
        + f"print('{DONE}')\n",
    }
    engine = ThisPython(tmp_path / "cache")
    record = execute(tmp_path, engine, scripts, keep=True)
    phase = serve_phase(record)
    place = tmp_path / "reports" / record.id / phase.directory
    assert phase.outcome is Outcome.COMPLETED, phase.reason
    assert [found.name for found in phase.facts.metrics] == ["server", "client"]
    assert phase.facts.done
    assert "weights" in (place / "client" / "stdout.log").read_text()
    assert [path.name for path in (place / "artifacts").iterdir()] == ["server"]
    assert [path.name for path in (place / "client" / "artifacts").iterdir()] == ["answer"]
    logs = [place / "stdout.log", place / "stderr.log", place / "client" / "stdout.log"]
    lines = "".join(path.read_text() for path in logs).splitlines()
    assert [metric(f.name) == lines[f.line - 1] for f in phase.facts.metrics] == [True, True]
    assert phase.details["client"]["pid"]


def test_a_client_has_directories_of_its_own_and_leaves_no_artifacts(tmp_path: Path) -> None:
    def play(launch: Launch) -> None:
        if launch.client is not None:
            assert launch.client.logs == launch.logs / "client"
            assert launch.client.script == "families/basic/predict.py"
            assert list(launch.client.output.iterdir()) == []
            (launch.client.output / "large").write_text("x")

    engine = ScriptedEngine(play)
    phase = serve_phase(execute(tmp_path, engine, {}))
    assert phase.outcome is Outcome.COMPLETED, phase.reason
    clients = [launch.client for launch in engine.launches]
    assert [client is None for client in clients] == [True, False]
    assert clients[1] is not None
    assert clients[1].logs.is_dir()
    assert not clients[1].output.exists()


_LEAVES = """
    import os, shutil
    output = os.environ["OUTPUT_DIR"]
    os.symlink("/etc/passwd", os.path.join(output, "link"))
    os.mkfifo(os.path.join(output, "fifo"))
    open(os.path.join(output, "program"), "w").close()
    os.chmod(os.path.join(output, "program"), 0o6755)
"""


def test_neither_a_phase_nor_its_client_leaves_a_link_or_a_setuid_program_in_the_reports(
    tmp_path: Path,
) -> None:
    leaves = _LEAVES.replace("\n    ", "\n")
    scripts = {
        "save.py": leaves,
        "load.py": serving_cases.server(
            ready=_LEAVES + "\n    say(event='ready', port=server.server_address[1])\n"
        ),
        "predict.py": serving_cases.ASK + "ask()\n" + leaves,
    }
    record = execute(tmp_path, ThisPython(tmp_path / "cache"), scripts, keep=True)
    assert [phase.outcome for phase in record.phases] == [Outcome.COMPLETED] * 2, record.phases
    run_directory = tmp_path / "reports" / record.id
    programs = list(run_directory.rglob("program"))
    assert len(programs) == 3
    for path in run_directory.rglob("*"):
        assert not path.is_symlink(), path
        assert path.is_file() or path.is_dir(), path
        assert path.stat().st_mode & 0o7000 == 0, path


def test_a_phase_that_puts_a_link_in_the_place_of_its_output_is_not_followed(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    scripts = {
        "save.py": f"""
            import os, shutil
            shutil.rmtree(os.environ["OUTPUT_DIR"])
            os.symlink({str(outside)!r}, os.environ["OUTPUT_DIR"])
        """,
        "load.py": serving_cases.server(ready=""),
        "predict.py": "",
    }
    record = execute(tmp_path, ThisPython(tmp_path / "cache"), scripts, keep=True)
    save, serve = record.phases
    assert save.outcome is Outcome.ENGINE_ERROR
    assert save.reason == "it left no directory in the place of its OUTPUT_DIR"
    assert serve.outcome is Outcome.NOT_RUN
    assert list((tmp_path / "reports").rglob("secret")) == []
    assert (outside / "secret").exists()


@pytest.mark.parametrize(
    ("server", "client", "done"),
    [
        ([metric("a"), DONE], [metric("b"), DONE], True),
        ([metric("a"), DONE], [metric("b")], False),
        ([metric("a")], [metric("b"), DONE], False),
        ([metric("a"), DONE], ["a client without markers"], True),
        (["a server without markers"], ["and its client"], False),
    ],
)
def test_a_phase_is_done_when_both_are(
    tmp_path: Path, server: list[str], client: list[str], done: bool
) -> None:
    def play(launch: Launch) -> Exit | None:
        write_log(launch, *server)
        if launch.client is not None:
            write_log(launch.client, *client)
        return None

    assert serve_phase(execute(tmp_path, ScriptedEngine(play), {})).facts.done is done


def test_a_client_that_was_never_started_has_no_logs(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text(f"{metric('a')}\n{DONE}\n")
    launch = Launch(
        key="k",
        run_id="r",
        environment=Environment("f", "python"),
        script="serve.py",
        variables={},
        scenarios=tmp_path,
        data=tmp_path,
        input=None,
        output=tmp_path,
        logs=tmp_path,
        client=Client("client.py", tmp_path / "client/artifacts", tmp_path / "client"),
    )
    facts = facts_of(launch)
    assert (facts.lines, facts.done) == (2, True)


UP = "import os, signal, sys, time\nprint('up', flush=True)\n"


def judged(record: RunRecord) -> tuple[int, str]:
    """The exit code of the run, and the message of the first check of its case."""
    (case,) = record.cases
    return totals.exit_code(record), case.checks[0].message


class Attacked(ThisPython):
    """Ends a phase that is up from outside."""

    def __init__(
        self, cache: Path, number: signal.Signals, parent: bool = False, times: int = 9
    ) -> None:
        super().__init__(cache)
        self._number, self._parent, self._times = number, parent, times

    def execute(self, launch: Launch, started: Any, cancel: threading.Event) -> Exit:
        self._times -= 1
        if self._times < 0:
            return super().execute(launch, started, cancel)

        def attack(target: Any) -> None:
            started(target)

            def kill() -> None:
                log = launch.logs / "stdout.log"
                while "up" not in log.read_text():
                    time.sleep(0.02)
                (pid,) = target.pids()
                os.kill(psutil.Process(pid).ppid() if self._parent else pid, self._number)

            threading.Thread(target=kill).start()

        return super().execute(launch, attack, cancel)


@pytest.mark.parametrize(
    ("number", "parent", "words"),
    [
        (signal.SIGKILL, False, "something else than itself or the harness ended it: ended by a"),
        (signal.SIGTERM, False, "ended by a signal (SIGTERM, terminated)"),
        (signal.SIGHUP, False, "ended by a signal (SIGHUP, hangup)"),
        (signal.SIGKILL, True, "the engine could not run it: its supervisor was ended"),
        (signal.SIGTERM, True, "the engine could not run it: its supervisor was ended"),
    ],
)
def test_a_phase_that_is_ended_from_outside_is_not_judged(
    tmp_path: Path, number: signal.Signals, parent: bool, words: str
) -> None:
    engine = Attacked(tmp_path / "cache", number, parent)
    code, message = judged(execute(tmp_path, engine, {"save.py": f"{UP}time.sleep(60)"}))
    assert code == EXIT_NOT_JUDGED
    assert message.startswith("save phase not judged: ")
    assert words in message


def test_what_lost_its_supervisor_once_passes_at_the_second_attempt(tmp_path: Path) -> None:
    """In another process and directory, with what the first one has said kept beside it."""
    script = f"""
import os, sys, time
first = not os.path.exists("{tmp_path}/seen")
open("{tmp_path}/seen", "w").close()
open(os.path.join(os.environ["OUTPUT_DIR"], "by-%d" % os.getpid()), "w").close()
print("up", flush=True)
time.sleep(60 if first else 0)
print('{DONE}')
"""
    engine = Attacked(tmp_path / "cache", signal.SIGKILL, parent=True, times=1)
    record = execute(tmp_path, engine, {"save.py": script}, keep=True)
    save = record.phases[0]
    assert save.outcome is Outcome.COMPLETED, save.reason
    (attempt,) = save.attempts
    assert attempt.outcome is Outcome.ENGINE_ERROR
    assert "its supervisor was ended" in attempt.reason
    place = tmp_path / "reports" / record.id
    assert (place / attempt.directory / "stdout.log").read_text().startswith("up")
    assert len(list((place / save.directory / "artifacts").iterdir())) == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "(SIGKILL, killed) that it sent itself"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "(SIGTERM, terminated) that it sent itself"),
        ("os.killpg(0, signal.SIGHUP)", "(SIGHUP, hangup) that it sent itself"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "(SIGSEGV, segmentation fault)"),
        ("os.abort()", "(SIGABRT, aborted)"),
        ("sys.exit(137)", "exit code 137"),
        ("sys.exit(3)", "exit code 3"),
    ],
)
def test_a_phase_that_ends_itself_has_failed(tmp_path: Path, script: str, words: str) -> None:
    scripts = {"save.py": f"{UP}{script}"}
    code, message = judged(execute(tmp_path, ThisPython(tmp_path / "cache"), scripts))
    assert code == EXIT_FAILED
    assert message.startswith("save phase failed: ")
    assert words in message


def test_what_a_log_says_about_time_is_kept_beside_it(tmp_path: Path) -> None:
    step = {"event": "series", "t": 9.5, "function": "train", "unit": "microseconds"}
    step["accelerator"] = {"at": [0, 4], "bytes": [0, 96]}
    script = f"""
        print(':::LMS {json.dumps(step)}')
        print('{DONE}')
    """
    record = execute(tmp_path, ThisPython(tmp_path / "cache"), {"save.py": script})
    saved = next(phase for phase in record.phases if phase.key.endswith(".save"))
    told = times.read(tmp_path / "reports" / record.id / saved.directory)
    assert [moment.t for moment in told.moments] == [9.5]
    assert told.series[0].accelerator == Points(at=[0, 4], bytes=[0, 96])
    assert saved.facts.times == Times()  # a run of thousands of phases holds none of it
    assert saved.facts.done
