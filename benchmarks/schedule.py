"""Seconds for the order and the bookkeeping of a run of 10,000 cases that share their save.

python benchmarks/schedule.py [cases]

Phases end at once and nothing is written, so that what is left is the run's own work: which phase
can start, which cases are settled, which artifacts nobody needs any more.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import catalog_of
from harness.plan import planner
from harness.record.models import Outcome, PhaseRecord
from harness.run import phase, run
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent


def bookkeeping(cases: int, outcome: Outcome) -> tuple[float, float]:
    """Wall and CPU seconds of a run whose phases all end at once with an outcome."""

    def execute(executor: object, task: object, environment: object) -> PhaseRecord:
        return phase.phase_record(task).model_copy(update={"outcome": outcome})

    plan = planner.make(catalog_of(cases), provider="builtin")
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.multiple("harness.run.run.Executor", execute=execute),
        mock.patch("harness.report.reports.write_all"),
    ):
        settings = Settings(root=Path(name), reports=Path(name), data=Path(name), jobs=2)
        wall, cpu = time.perf_counter(), time.process_time()
        record, _ = run.execute(plan, ScriptedEngine(lambda launch: None), settings, None, Silent())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert len(record.cases) == len(plan.cases)
    return wall, cpu


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for outcome in (Outcome.COMPLETED, Outcome.FAILED):
        name = f"{cases:,} cases, every phase {outcome.value}"
        wall, cpu = bookkeeping(cases, outcome)
        print(f"{name:<44} {wall:6.2f} s, CPU {cpu:6.2f} s")


if __name__ == "__main__":
    main()
