"""What a run costs beside its phases grows with its cases, however many of them share a phase."""

from __future__ import annotations

import time
from pathlib import Path
from unittest import mock

import pytest

from benchmarks.report import build, catalog_of
from harness.plan import planner
from harness.plan.plan import Task
from harness.record.models import Outcome
from harness.report.files import reports
from harness.run import run
from harness.run.attempts import attempt
from harness.run.attempts.attempt import Execution
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent

FEW, MANY = 300, 3_000
# In proportion it would be 10; where each case looked at all others it would be near 100.
RATIO = 30


def bookkept(cases: int, outcome: Outcome, place: Path) -> float:
    """CPU seconds of a run whose phases end at once and share one save."""

    def execute(executor: object, task: Task, environment: object, earlier: object) -> Execution:
        return Execution(attempt.phase_record(task).model_copy(update={"outcome": outcome}))

    settings = Settings(root=place, reports=place, data=place, jobs=2)
    with (
        mock.patch.multiple("harness.run.run.Executor", execute=execute),
        mock.patch("harness.report.files.reports.write_all"),
    ):
        begin = time.process_time()
        plan = planner.make(catalog_of(cases, flavors=1))
        record, _ = run.execute(plan, ScriptedEngine(lambda launch: None), settings, None, Silent())
    assert len(record.cases) == cases
    saves = {use.key for case in record.cases for use in case.phases if use.name == "save"}
    assert len(saves) == 1
    return time.process_time() - begin


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.FAILED])
def test_ten_times_the_cases_are_about_ten_times_the_work(tmp_path: Path, outcome: Outcome) -> None:
    few = min(bookkept(FEW, outcome, tmp_path) for _ in range(3))
    assert bookkept(MANY, outcome, tmp_path) < RATIO * few


def test_ten_times_the_cases_are_about_ten_times_the_reports(tmp_path: Path) -> None:
    def written(cases: int) -> float:
        record = build(cases)
        begin = time.process_time()
        reports.write_all(record, tmp_path / f"{cases}")
        return time.process_time() - begin

    few = min(written(FEW) for _ in range(3))
    assert written(MANY) < RATIO * few
