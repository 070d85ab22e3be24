"""Attempts in whole runs: which ends are tried once more, where, and what is told of them."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.base.error import EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED
from harness.catalog import catalog
from harness.engine.protocol import Exit, Launch
from harness.plan import planner
from harness.record import store
from harness.record.checks import Status
from harness.record.models import BUG, Outcome, RunRecord
from harness.report import summary, totals
from harness.run import run
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent
from tests.projects import lay_out
from tests.run.test_group import family
from tests.run.test_run import good

LOAD = "test-flavor.basic.save-load.load"
AWAY = Exit(Outcome.ENGINE_ERROR, None, "the daemon went away", transient=True)


class Runs:
    """A small checkout, and runs of it whose phases end as a function says."""

    def __init__(self, place: Path) -> None:
        self.root = place / "checkout"
        self.observer = Silent()
        self.engine = ScriptedEngine(good)

    def execute(
        self,
        end: Callable[[Launch, int], Exit | None],
        *,
        engine: type[ScriptedEngine] = ScriptedEngine,
        **changes: object,
    ) -> tuple[RunRecord, Path]:
        """Runs it.

        Args:
            end: how an execution ends, by its launch and its number for that phase, from 1; None:
                it does all it has to do.
        """
        if not self.root.exists():
            lay_out(self.root)
        seen: Counter[str] = Counter()

        def play(launch: Launch) -> Exit | None:
            seen[launch.key] += 1
            assert list(launch.output.iterdir()) == [], "it is a fresh place"
            (launch.output / "half").write_text("x")
            ended = end(launch, seen[launch.key])
            if ended is None:
                good(launch)
            else:
                (launch.logs / "stdout.log").write_text(f"execution {seen[launch.key]}\n")
            return ended

        self.engine = engine(play)
        self.observer = Silent()
        made = planner.make(catalog.load(self.root))
        settings = Settings(
            root=self.root, reports=self.root / "reports", data=self.root, **{"jobs": 1, **changes}
        )
        record, directory = run.execute(made, self.engine, settings, (), self.observer)
        assert store.load(directory) == record
        return record, directory

    def executed(self, key: str = LOAD) -> int:
        """How often a phase was executed."""
        return [launch.key for launch in self.engine.launches].count(key)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def of(record: RunRecord, key: str = LOAD):
    return next(phase for phase in record.phases if phase.key == key)


def ends(ended: Exit, times: int = 1, key: str = LOAD) -> Callable[[Launch, int], Exit | None]:
    """The first executions of one phase end so."""
    return lambda launch, number: ended if launch.key == key and number <= times else None


def test_what_the_infrastructure_ended_is_tried_once_more_and_passes_with_a_mark(runs) -> None:
    record, directory = runs.execute(ends(AWAY))
    assert totals.exit_code(record) == EXIT_PASSED
    phase = of(record)
    assert phase.outcome is Outcome.COMPLETED
    (attempt,) = phase.attempts
    assert (attempt.number, attempt.outcome) == (1, Outcome.ENGINE_ERROR)
    assert attempt.reason == "the daemon went away"
    assert attempt.duration_s is not None
    assert attempt.directory == f"phases/{LOAD}/attempts/1"
    assert (directory / attempt.directory / "stdout.log").read_text() == "execution 1\n"
    assert not (directory / attempt.directory / "artifacts").exists()
    assert runs.executed() == 2
    assert sum(len(entry.attempts) for entry in record.phases) == 1
    assert f"{LOAD}: attempt 1 does not count: the daemon went away" in runs.observer.messages
    text = (directory / "summary.md").read_text()
    assert "## Tried again" in text
    assert "attempt 1 does not count: engine error after" in text
    assert "1 phase tried again" in summary.gather(record).headline.cases


def test_what_ends_so_twice_is_one_error(runs) -> None:
    record, directory = runs.execute(ends(AWAY, 9))
    phase = of(record)
    assert (phase.outcome, len(phase.attempts)) == (Outcome.ENGINE_ERROR, 1)
    assert runs.executed() == 2
    assert (directory / phase.directory / "stdout.log").read_text() == "execution 2\n"
    assert totals.exit_code(record) == EXIT_NOT_JUDGED
    case = next(entry for entry in record.cases if entry.id.endswith("save-load"))
    assert Counter(check.status for check in case.checks)[Status.ERROR] == 1


# What a phase, a limit, a person or the harness itself has done is not the infrastructure's.
@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (Exit(Outcome.FAILED, 1, "exit code 1"), EXIT_FAILED),
        (Exit(Outcome.TIMED_OUT, None, "still running after 5 s"), EXIT_FAILED),
        (Exit(Outcome.OUT_OF_MEMORY, 137, "the kernel ended it"), EXIT_NOT_JUDGED),
        (Exit(Outcome.KILLED, 137, "ended by a signal"), EXIT_NOT_JUDGED),
        (Exit(Outcome.ENGINE_ERROR, None, "its log could not be written"), EXIT_NOT_JUDGED),
    ],
)
def test_any_other_end_counts(runs, ended, code) -> None:
    record, _ = runs.execute(ends(ended))
    assert (runs.executed(), of(record).outcome) == (1, ended.outcome)
    assert not totals.tried_again(record.phases)
    assert totals.exit_code(record) == code


@pytest.mark.parametrize("line", ["error: the digits are damaged", "error: torch sees no GPU"])
def test_without_a_gpu_no_broken_promise_is_tried_again(runs, line) -> None:
    def end(launch: Launch, number: int) -> Exit | None:
        if launch.key != LOAD:
            return None
        (launch.logs / "stderr.log").write_text(f"{line}\n")
        return Exit(Outcome.FAILED, 3, "exit code 3")

    record, _ = runs.execute(end)
    assert (runs.executed(), of(record).outcome) == (1, Outcome.ENGINE_ERROR)
    assert of(record).reason == line


def test_an_assertion_that_prints_what_a_gpu_says_is_a_failure(runs) -> None:
    def end(launch: Launch, number: int) -> Exit | None:
        if launch.key != LOAD:
            return None
        (launch.logs / "stderr.log").write_text(
            'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    a()\n'
            "RuntimeError: CUDA error: uncorrectable ECC error encountered\n"
        )
        return Exit(Outcome.FAILED, 1, "exit code 1")

    record, _ = runs.execute(end)
    assert runs.executed() == 1, "there is no GPU that could be at fault"
    assert totals.exit_code(record) == EXIT_FAILED


def test_a_bug_of_the_harness_is_not_tried_again(runs) -> None:
    def end(launch: Launch, number: int) -> Exit | None:
        if launch.key == LOAD:
            raise KeyError("a bug")
        return None

    record, _ = runs.execute(end)
    assert runs.executed() == 1
    assert BUG in of(record).details


def test_an_engine_that_does_not_come_back_is_not_tried_again(runs) -> None:
    class Gone(ScriptedEngine):
        def recover(self, *arguments: object) -> bool:
            return False

    record, _ = runs.execute(ends(AWAY), engine=Gone)
    assert (runs.executed(), of(record).outcome) == (1, Outcome.ENGINE_ERROR)


def test_a_run_that_is_stopped_tries_nothing_again_and_loses_nothing(runs) -> None:
    def end(launch: Launch, number: int) -> Exit | None:
        if launch.key != LOAD:
            return None
        os.kill(os.getpid(), signal.SIGINT)
        return AWAY

    record, _ = runs.execute(end)
    assert record.state == "interrupted"
    assert runs.executed() == 1
    assert of(record).outcome in (Outcome.INTERRUPTED, Outcome.ENGINE_ERROR)


def test_a_machine_that_is_broken_ends_the_run_and_says_so_once_for_each_case(runs) -> None:
    many = "".join(
        f'[[scenario]]\nid = "s{n}"\ndescription = "s"\ncontrol = false\n\n'
        f'[[scenario.phase]]\nid = "save"\nscript = "save.py"\nrole = "train"\n'
        f'variables = {{ N = "{n}" }}\n\n'
        for n in range(12)
    )
    lay_out(runs.root, families={"basic": many})
    record, directory = runs.execute(lambda launch, number: AWAY)
    assert record.state == "finished"
    assert totals.exit_code(record) == EXIT_NOT_JUDGED
    assert len(runs.engine.launches) == 4
    broken = "this machine is broken: 4 of 4 executions ended for a reason of the infrastructure"
    assert any(line.startswith(f"stopping: {broken}") for line in runs.observer.messages)
    assert any(broken in note for note in record.notes)
    outcomes = Counter(phase.outcome for phase in record.phases)
    assert outcomes[Outcome.NOT_RUN] + outcomes[Outcome.ENGINE_ERROR] == 12
    for case in record.cases:
        statuses = Counter(check.status for check in case.checks)
        assert (statuses[Status.ERROR], statuses[Status.FAILED]) == (1, 0)
    never = [phase for phase in record.phases if phase.outcome is Outcome.NOT_RUN]
    assert never
    assert all(phase.reason.startswith(broken) for phase in never)
    junit = (directory / "junit" / "test-flavor.xml").read_text()
    assert "this machine is broken" in junit


def test_of_a_group_what_had_not_ended_is_tried_again(runs) -> None:
    """The first launch says how one phase ended, and goes away; the second has the others."""
    lay_out(runs.root, families={"basic": family("one", "two", "three")})

    def play(launch: Launch, number: int) -> Exit | None:
        request = json.loads((launch.input / "group.json").read_text())
        count = len(request["phases"])
        requests.append((launch.key, count))
        told = 1 if launch.key.endswith("save.1") and number == 1 else count
        lines = [json.dumps({"key": "abc"})]
        for phase in range(told):
            (launch.output / str(phase)).mkdir()
            for stream in ("stdout", "stderr"):
                (launch.output / f"{phase}.{stream}").write_text("")
            status = {"key": "abc", "phase": phase, "code": 0, "began": 0, "seconds": 1}
            lines.append(json.dumps(status))
        (launch.logs / "stdout.log").write_text("".join(f"{line}\n" for line in lines))
        return AWAY if told < count else Exit(Outcome.COMPLETED, 0)

    requests: list[tuple[str, int]] = []
    seen: Counter[str] = Counter()

    def group(launch: Launch) -> Exit | None:
        seen[launch.key] += 1
        return play(launch, seen[launch.key])

    made = planner.make(catalog.load(runs.root))
    settings = Settings(
        root=runs.root, reports=runs.root / "reports", data=runs.root, jobs=1, keep=True
    )
    record, directory = run.execute(made, ScriptedEngine(group), settings, (), runs.observer)
    save = "test-flavor.basic.save.1"
    assert requests == [(save, 3), (save, 2), ("test-flavor.basic.load.1", 3)]
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}
    tried = {phase.key: len(phase.attempts) for phase in record.phases if ".save" in phase.key}
    assert sorted(tried.values()) == [0, 1, 1]
    (first,) = next(phase.attempts for phase in record.phases if phase.attempts)
    assert first.reason == "its group ended: the daemon went away"
    assert (directory / "groups" / save / "attempts" / "1" / "stdout.log").is_file()
    assert (directory / first.directory / "details.json").is_file()
