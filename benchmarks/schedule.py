"""Seconds for the order and the bookkeeping of a run of 10,000 cases that share one save.

python benchmarks/schedule.py [cases]

Phases end at once. With nothing written what is left is the run's own work: which phase can start,
which cases are settled, which artifacts nobody needs any more. With all that is written there are
directories, inputs, logs, samples and artifacts of phases, the record and the reports as well. What
the reports take of it is told apart: they have a benchmark of their own (benchmarks/report.py).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import catalog_of
from harness.engine.protocol import Exit, Launch
from harness.plan import planner
from harness.plan.plan import Plan, Task
from harness.record.models import Outcome, RunRecord
from harness.report.files import reports
from harness.run import run
from harness.run.attempts import attempt
from harness.run.attempts.attempt import Execution
from harness.run.settings import Settings
from tests.engines import Play, ScriptedEngine, Silent, write_log

LOG = (
    ':::LMS {"event": "environment", "versions": {"keras": "2.2.4"}, "devices": ["/device:CPU:0"]}',
    ':::LMS {"event": "metric", "name": "loss", "value": 0.5, "epoch": 1, "split": "train"}',
    ':::LMS {"event": "done"}',
)


class Seconds(NamedTuple):
    """What a run took; `reports` is the part of `cpu` in which reports were written."""

    wall: float
    cpu: float
    reports: float


def bookkeeping(cases: int, outcome: Outcome) -> Seconds:
    """A run whose phases all end at once with an outcome."""

    def execute(executor: object, task: Task, environment: object, earlier: object) -> Execution:
        return Execution(attempt.phase_record(task).model_copy(update={"outcome": outcome}))

    plan = planner.make(catalog_of(cases, flavors=1))
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.multiple("harness.run.run.Executor", execute=execute),
        mock.patch("harness.report.files.reports.write_all"),
    ):
        return _timed(plan, Path(name), lambda launch: None)


def everything(cases: int, outcome: Outcome) -> Seconds:
    """The same with all that is written; phases leave a log and an artifact."""

    def play(launch: Launch) -> Exit:
        write_log(launch, *LOG)
        (launch.output / "weights").write_bytes(b"weights")
        # The save completes in any case: without it no other phase runs.
        ends_well = launch.input is None or outcome is Outcome.COMPLETED
        return Exit(Outcome.COMPLETED, 0) if ends_well else Exit(outcome, 1, "exit code 1")

    plan = planner.make(catalog_of(cases, flavors=1))
    with tempfile.TemporaryDirectory() as name:
        return _timed(plan, Path(name), play)


def _timed(plan: Plan, place: Path, play: Play) -> Seconds:
    settings = Settings(root=place, reports=place, data=place, jobs=2)
    write, spent = reports.write_all, 0.0

    def write_all(record: RunRecord, directory: Path) -> None:
        nonlocal spent
        began = time.thread_time()
        write(record, directory)
        spent += time.thread_time() - began

    with mock.patch("harness.report.files.reports.write_all", write_all):
        wall, cpu = time.perf_counter(), time.process_time()
        record, _ = run.execute(plan, ScriptedEngine(play), settings, None, Silent())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert len(record.cases) == len(plan.cases)
    return Seconds(wall, cpu, spent)


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for words, measure in (("", bookkeeping), (", all written", everything)):
        for outcome in (Outcome.COMPLETED, Outcome.FAILED):
            name = f"{cases:,} cases, phases {outcome.value}{words}"
            took = measure(cases, outcome)
            print(
                f"{name:<48} {took.wall:6.2f} s, CPU {took.cpu:6.2f} s, of it reports"
                f" {took.reports:5.2f} s; goal 10 s of CPU for 10,000 but for the reports",
                flush=True,
            )


if __name__ == "__main__":
    main()
