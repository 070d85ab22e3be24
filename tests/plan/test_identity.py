from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.plan import identity, planner
from harness.plan.plan import Plan
from harness.plan.scale import Goal
from tests.projects import lay_out

OUTSIDE = {"scripts": "s", "data": "d", "providers": "", "flavors": "f", "harness": "h"}
ENVIRONMENTS = {"test-flavor": {"requirements": "r", "python": "3.11"}}
PLACE = {"gpu": None, "threads": 1, "processor": "p"}
SAVE, LOAD = "test-flavor.basic.save-load.save", "test-flavor.basic.save-load.load"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planner.make(catalog.load(lay_out(tmp_path / "checkout")))


def basis(plan: Plan, **other: str) -> dict[str, str]:
    return identity.basis(plan, {**OUTSIDE, **other}, "venv", "virtual")


def test_the_same_plan_has_the_same_basis_and_identities(plan: Plan, tmp_path: Path) -> None:
    again = planner.make(catalog.load(lay_out(tmp_path / "elsewhere")))
    assert basis(plan) == basis(again)
    one = identity.identities(plan, basis(plan), ENVIRONMENTS, PLACE)
    assert one == identity.identities(again, basis(again), ENVIRONMENTS, PLACE)
    assert set(one) == set(plan.tasks)
    assert len(set(one.values())) == len(one)


def test_a_part_of_a_plan_has_another_basis_and_the_same_identities(plan: Plan) -> None:
    part = replace(plan, tasks={SAVE: plan.tasks[SAVE]}, cases=())
    assert basis(part)["plan"] != basis(plan)["plan"]
    whole = identity.identities(plan, basis(plan), ENVIRONMENTS, PLACE)
    found = identity.identities(part, basis(part), ENVIRONMENTS, PLACE)
    assert found == {SAVE: whole[SAVE]}


def test_scales_are_in_the_basis(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "checkout")
    table = root / "scenarios/families/basic/scenarios.toml"
    table.write_text(f"activations_mib = 10\n{table.read_text()}")
    small, large = (
        planner.make(catalog.load(root), goal=Goal(100, memory)) for memory in (2**26, None)
    )
    assert (basis(small)["batch scales"], basis(large)["batch scales"]) == ("3", "10")
    assert basis(small)["plan"] != basis(large)["plan"]


@pytest.mark.parametrize("name", ["scripts", "data", "providers"])
def test_what_a_phase_reads_is_in_its_identity(plan: Plan, name: str) -> None:
    one = identity.identities(plan, basis(plan), ENVIRONMENTS, PLACE)
    other = identity.identities(plan, basis(plan, **{name: "x"}), ENVIRONMENTS, PLACE)
    assert not set(one.values()) & set(other.values())


@pytest.mark.parametrize("name", ["harness", "flavors", "scenarios"])
def test_what_no_phase_reads_is_in_none(plan: Plan, name: str) -> None:
    one = identity.identities(plan, basis(plan), ENVIRONMENTS, PLACE)
    assert one == identity.identities(plan, basis(plan, **{name: "x"}), ENVIRONMENTS, PLACE)


@pytest.mark.parametrize("name", ["gpu", "threads", "processor"])
def test_where_numbers_may_differ_is_in_it(plan: Plan, name: str) -> None:
    one = identity.identities(plan, basis(plan), ENVIRONMENTS, PLACE)
    other = identity.identities(plan, basis(plan), ENVIRONMENTS, {**PLACE, name: "x"})
    assert not set(one.values()) & set(other.values())


def test_the_lock_file_is_in_it_and_how_python_was_found_is_not(plan: Plan) -> None:
    one = identity.identities(plan, basis(plan), ENVIRONMENTS, PLACE)
    same = {"test-flavor": {**ENVIRONMENTS["test-flavor"], "python found by": "PATH"}}
    assert one == identity.identities(plan, basis(plan), same, PLACE)
    other = {"test-flavor": {**ENVIRONMENTS["test-flavor"], "requirements": "x"}}
    assert not set(one.values()) & set(
        identity.identities(plan, basis(plan), other, PLACE).values()
    )
    assert identity.identities(plan, basis(plan), {}, PLACE) == {}


def test_a_change_of_a_save_is_one_of_what_reads_it_and_of_nothing_else(plan: Plan) -> None:
    tasks = {**plan.tasks, SAVE: replace(plan.tasks[SAVE], timeout_s=7)}
    one = identity.identities(plan, basis(plan), ENVIRONMENTS, PLACE)
    other = identity.identities(replace(plan, tasks=tasks), basis(plan), ENVIRONMENTS, PLACE)
    changed = {key for key in one if one[key] != other[key]}
    assert changed == {SAVE, *(key for key, task in plan.tasks.items() if task.input == SAVE)}


def test_the_group_that_a_task_runs_in_is_not_in_it(plan: Plan) -> None:
    tasks = {**plan.tasks, LOAD: replace(plan.tasks[LOAD], group="some.1")}
    grouped = replace(plan, tasks=tasks)
    assert basis(grouped) == basis(plan)
    assert identity.identities(grouped, basis(plan), ENVIRONMENTS, PLACE) == identity.identities(
        plan, basis(plan), ENVIRONMENTS, PLACE
    )
