from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.plan import planner
from harness.plan.plan import Plan
from harness.plan.shards import Shard
from harness.record.checks import Status
from harness.record.models import RunRecord
from harness.resumption.source import Source
from harness.run.portion import portion
from harness.run.settings import Settings
from tests import records
from tests.merge.shards import checkout


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planner.make(catalog.load(checkout(tmp_path / "checkout")))


SETTINGS = Settings(root=Path(), reports=Path(), data=Path())


def earlier(plan: Plan, count: int, **changes: object) -> Source:
    """A run that has judged the first cases of a plan: each second one failed."""
    cases = [
        records.case(
            case.scenario.id,
            case.flavor.id,
            family=case.scenario.family,
            checks=records.checks(
                phases_complete=records.check(
                    records.CHECKS[0], Status.FAILED if number % 2 else Status.PASSED
                )
            ),
        )
        for number, case in enumerate(plan.cases[:count])
    ]
    record: RunRecord = records.run().model_copy(update={"cases": cases, **changes})
    return Source(Path(), record)


def test_of_a_finished_run_what_did_not_pass_runs_again_with_all_it_rests_on(plan: Plan) -> None:
    planned, settings = portion.of_failed(plan, SETTINGS, earlier(plan, 4))
    assert [case.id for case in planned.cases] == [plan.cases[1].id, plan.cases[3].id]
    assert set(planned.tasks) == {key for case in planned.cases for key in case.keys}
    assert settings.notes == (f"only what did not pass in run {records.run().id}: 2 of 4 cases",)
    assert settings.shard is None


def test_of_another_run_what_was_never_judged_runs_too(plan: Plan) -> None:
    planned, _ = portion.of_failed(plan, SETTINGS, earlier(plan, 4, state="aborted"))
    assert len(planned.cases) == 2 + len(plan.cases) - 4


def test_known_and_skipped_cases_do_not_run_again(plan: Plan) -> None:
    known = records.checks(state_restored=records.check(records.CHECKS[3], Status.KNOWN))
    found = earlier(plan, 2)
    cases = [
        found.record.cases[0].model_copy(update={"checks": known}),
        found.record.cases[1].model_copy(update={"checks": [], "skip": "no Python"}),
    ]
    source = Source(Path(), found.record.model_copy(update={"cases": cases}))
    assert portion.of_failed(plan, SETTINGS, source)[0].cases == ()


def test_a_shard_says_what_it_is_of(plan: Plan) -> None:
    planned, settings = portion.of_shard(plan, SETTINGS, Shard(2, 3), {}, None)
    assert settings.shard is not None
    assert settings.shard.name == "2/3"
    assert list(settings.shard.cases) == [case.id for case in plan.cases]
    assert [case.id for case in planned.cases] == [
        name for name, number in settings.shard.cases.items() if number == 2
    ]
    assert settings.notes == ("shard 2/3: 2 of 8 cases, 5 of 20 phases",)
    assert portion.of_shard(plan, SETTINGS, None, {}, None) == (plan, SETTINGS)


def test_a_shard_that_is_gone_on_with_is_cut_as_it_was(plan: Plan) -> None:
    durations = {f"flavor-{n}.basic.save-load.save": 1.0 if n else 99.0 for n in range(4)}
    first, settings = portion.of_shard(plan, SETTINGS, Shard(1, 2), durations, None)
    source = earlier(plan, 0, shard=settings.shard, basis=settings.basis)
    again, same = portion.of_shard(plan, SETTINGS, None, {}, source)
    assert again == first
    assert same.shard == settings.shard
    assert same.basis == settings.basis
    assert same.source == source


def test_a_shard_of_another_plan_is_not_gone_on_with(plan: Plan) -> None:
    _, settings = portion.of_shard(plan, SETTINGS, Shard(1, 2), {}, None)
    source = earlier(plan, 0, shard=settings.shard)
    part, _ = portion.of_failed(plan, SETTINGS, earlier(plan, 4))
    with pytest.raises(UsageError, match="is shard 1/2 of another plan"):
        portion.of_shard(part, SETTINGS, None, {}, source)
