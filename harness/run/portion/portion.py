"""The part of a plan that a run is of: one shard of it, or what did not pass in an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.base.error import UsageError
from harness.base.text import one_line, plural
from harness.plan import shards
from harness.plan.plan import Plan
from harness.plan.shards import Shard
from harness.record import durations as files
from harness.record.origin import ShardRecord
from harness.resumption.source import Source
from harness.run.settings import Settings

Portion = tuple[Plan, Settings]


def of_failed(plan: Plan, settings: Settings, earlier: Source) -> Portion:
    """The cases of an earlier run that did not pass, and those that it never came to judge.

    All that they rest on runs anew: what led to a failure may be any of it.
    """
    record, cases = earlier.record, plan.cases
    if record.shard is not None:
        shard = record.shard
        cases = tuple(case for case in cases if shard.cases.get(case.id) == shard.number)
    if record.state == "finished":
        cases = tuple(case for case in cases if case.id in earlier.judged)
    planned = shards.only(plan, [case for case in cases if case.id not in earlier.passed])
    note = f"only what did not pass in run {one_line(record.id, 100)}:"
    note += f" {len(planned.cases)} of {plural(len(cases), 'case')}"
    return planned, replace(settings, notes=(*settings.notes, note))


def of_shard(
    plan: Plan,
    settings: Settings,
    shard: Shard | None,
    durations: Mapping[str, float],
    earlier: Source | None,
) -> Portion:
    """One shard of a plan, or the whole of it; of either what an earlier run is taken over.

    Args:
        shard: the one that was asked for. Without one a run that goes on with a shard is that
            shard, cut as it was then.
        durations: seconds of phases by key.
        earlier: the run that this one goes on with, or None.

    Raises:
        UsageError: the earlier run is a shard of another plan.
    """
    settings = replace(settings, source=earlier)
    assigned: Mapping[str, int] | None = None
    cut = files.digest(durations)
    if shard is None and earlier is not None and earlier.record.shard is not None:
        old = earlier.record.shard
        shard, assigned = Shard(old.number, old.count), old.cases
        cut = earlier.record.basis.get("durations", cut)
        if list(assigned) != [case.id for case in plan.cases]:
            raise UsageError(
                f"run {one_line(earlier.record.id, 100)} is shard {shard} of another plan:"
                " resume it with what was selected then"
            )
    if shard is None:
        return plan, settings
    if assigned is None:
        assigned = shards.assign(plan, shard.count, durations)
    planned = shards.part(plan, shard, assigned)
    made = ShardRecord(
        number=shard.number,
        count=shard.count,
        cases=dict(assigned),
        canaries={
            case.id: case.scenario.expects
            for case in plan.cases
            if case.scenario.expects is not None
        },
    )
    return planned, replace(
        settings,
        notes=(*settings.notes, _note(shard, plan, planned)),
        basis={**settings.basis, "durations": cut},
        shard=made,
    )


def _note(shard: Shard, plan: Plan, planned: Plan) -> str:
    note = f"shard {shard}: {len(planned.cases)} of {plural(len(plan.cases), 'case')}"
    note += f", {len(planned.tasks)} of {plural(len(plan.tasks), 'phase')}"
    if not planned.cases:
        note += "; cases that share phases stay together, so there is nothing left for it"
    return note
