"""In how many shards a plan is run, and which flavors are runs of their own."""

from __future__ import annotations

from pathlib import Path

from harness.catalog import catalog
from harness.clusters import parts
from harness.clusters.job import Part
from harness.plan import planner
from tests.paths import ROOT
from tests.projects import FLAVOR, lay_out

WHOLE = catalog.load(ROOT)


def test_cases_that_share_a_save_are_one_shard_at_most(tmp_path: Path) -> None:
    lay_out(tmp_path)  # two scenarios with the same save
    plan = planner.make(catalog.load(tmp_path))
    assert len(plan.cases) == 2
    assert parts.whole(plan, 5) == Part(1)


def test_each_flavor_can_be_a_shard(tmp_path: Path) -> None:
    lay_out(tmp_path, flavors={f"flavor-{number}": FLAVOR for number in range(3)})
    plan = planner.make(catalog.load(tmp_path))
    assert parts.whole(plan, 5) == Part(3)
    assert parts.whole(plan, 2) == Part(2)


def test_a_run_of_one_flavor_needs_no_other_environment() -> None:
    selected = WHOLE.select(["keras3-*"], ["keras_saveload", "keras3_crossbackend"])
    made, left_out = parts.by_flavor(selected, planner.make, 2)
    assert [part.flavor for part in made] == ["keras3-jax", "keras3-tensorflow", "keras3-torch"]
    assert all(part.shards == 2 for part in made)
    for part in made:
        assert part.options == (f"--flavors={part.flavor}", "--families=keras_saveload")
    assert any(
        line.startswith("keras3-jax: keras3_crossbackend is left out: it needs")
        for line in left_out
    )
    plan = planner.make(WHOLE.select(["keras3-jax"], ["keras_saveload"]))
    assert plan.flavors == ("keras3-jax",)


def test_a_flavor_with_no_family_of_its_own_is_no_run() -> None:
    selected = WHOLE.select(["keras3-jax"], ["keras3_crossbackend"])
    assert parts.by_flavor(selected, planner.make, 2)[0] == ()
