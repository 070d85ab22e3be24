"""Seconds for the order and the bookkeeping of a run of 10,000 cases that share one save.

python benchmarks/schedule.py [cases]

Phases end at once. With nothing written what is left is the run's own work: which phase can start,
which cases are settled, which artifacts nobody needs any more. With all that is written there are
directories, inputs, logs, samples and artifacts of phases, the record and the reports as well.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import catalog_of
from harness.engine.protocol import Exit, Launch
from harness.plan import planner
from harness.plan.plan import Plan, Task
from harness.record.models import Outcome
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


def bookkeeping(cases: int, outcome: Outcome) -> tuple[float, float]:
    """Wall and CPU seconds of a run whose phases all end at once with an outcome."""

    def execute(executor: object, task: Task, environment: object, earlier: object) -> Execution:
        return Execution(attempt.phase_record(task).model_copy(update={"outcome": outcome}))

    plan = planner.make(catalog_of(cases, flavors=1))
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.multiple("harness.run.run.Executor", execute=execute),
        mock.patch("harness.report.files.reports.write_all"),
    ):
        return _timed(plan, Path(name), lambda launch: None)


def everything(cases: int, outcome: Outcome) -> tuple[float, float]:
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


def _timed(plan: Plan, place: Path, play: Play) -> tuple[float, float]:
    settings = Settings(root=place, reports=place, data=place, jobs=2)
    wall, cpu = time.perf_counter(), time.process_time()
    record, _ = run.execute(plan, ScriptedEngine(play), settings, None, Silent())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert len(record.cases) == len(plan.cases)
    return wall, cpu


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for words, measure in (("", bookkeeping), (", all written", everything)):
        for outcome in (Outcome.COMPLETED, Outcome.FAILED):
            name = f"{cases:,} cases, phases {outcome.value}{words}"
            wall, cpu = measure(cases, outcome)
            print(f"{name:<48} {wall:6.2f} s, CPU {cpu:6.2f} s; goal 10 s of CPU for 10,000")


if __name__ == "__main__":
    main()
