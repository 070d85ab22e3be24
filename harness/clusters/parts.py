"""The parts of a job: what is merged into one run, and in how many shards it is run. Pure."""

from __future__ import annotations

from collections.abc import Callable

from harness.catalog.catalog import Catalog
from harness.clusters.job import Part
from harness.plan import shards
from harness.plan.plan import Plan


def whole(plan: Plan, most: int) -> Part:
    """A plan as one run.

    Args:
        most: shards at most; there are no more than bundles of cases that have to stay together.
    """
    bundles = sum(1 for bundle in shards.bundles(plan) if bundle.tasks)
    return Part(max(1, min(most, bundles)))


def by_flavor(
    catalog: Catalog, make: Callable[[Catalog], Plan], most: int
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """A run for each flavor, of the families that need no environment but that one's.

    Args:
        make: plans a part of the catalog.
        most: shards of a run at most.

    Returns:
        The runs, and a line for each flavor and family that is left out.
    """
    parts: list[Part] = []
    left_out: list[str] = []
    for flavor in catalog.flavors:
        plan = make(catalog.select([flavor.id]))
        alone: dict[str, None] = {}
        others: dict[str, set[str]] = {}
        for case in plan.cases:
            needed = {plan.tasks[key].flavor for key in case.keys} - {flavor.id}
            if needed:
                others.setdefault(case.scenario.family, set()).update(needed)
            else:
                alone[case.scenario.family] = None
        families = [name for name in alone if name not in others]
        left_out += (
            f"{flavor.id}: {name} is left out: it needs the environments of"
            f" {', '.join(sorted(needed))} too"
            for name, needed in others.items()
        )
        if families:
            made = whole(make(catalog.select([flavor.id], families)), most)
            options = (f"--flavors={flavor.id}", f"--families={','.join(families)}")
            parts.append(Part(made.shards, options, flavor.id))
    return tuple(parts), tuple(left_out)
