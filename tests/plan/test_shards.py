from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.plan import planner, shards
from harness.plan.plan import Plan
from harness.plan.shards import Shard
from tests.paths import ROOT
from tests.projects import FLAVOR, lay_out


@pytest.fixture(scope="module")
def matrix() -> Plan:
    """The matrix of the project."""
    return planner.make(catalog.load(ROOT))


def cut(plan: Plan, count: int, durations: dict[str, float]) -> list[Plan]:
    assigned = shards.assign(plan, count, durations)
    return [shards.part(plan, Shard(number, count), assigned) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_shards_of_the_matrix_are_the_matrix(matrix: Plan, count: int) -> None:
    parts = cut(matrix, count, {})
    cases = [case.id for part in parts for case in part.cases]
    tasks = [key for part in parts for key in part.tasks]
    assert sorted(cases) == sorted(case.id for case in matrix.cases)
    assert sorted(tasks) == sorted(matrix.tasks)  # each once: nothing is run in two
    for part in parts:
        assert {key for case in part.cases for key in case.keys} <= set(part.tasks)
        assert {task.input for task in part.tasks.values()} <= {None, *part.tasks}
    sizes = [len(part.tasks) for part in parts]
    assert max(sizes) - min(sizes) <= 2


def test_no_bundle_of_the_matrix_is_large(matrix: Plan) -> None:
    largest = max(len(bundle.tasks) for bundle in shards.bundles(matrix))
    assert largest * 12 <= len(matrix.tasks)  # as the module says


def test_a_group_of_several_shards_has_another_name_in_each(matrix: Plan) -> None:
    parts = cut(matrix, 3, {})
    names = [{task.group for task in part.tasks.values() if task.group} for part in parts]
    assert all(names)
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]
    assert all(name.endswith(".2of3") for name in names[1])


@pytest.fixture
def small(tmp_path: Path) -> Plan:
    flavors = {f"flavor-{number}": FLAVOR for number in range(4)}
    return planner.make(catalog.load(lay_out(tmp_path / "checkout", flavors=flavors)))


def seconds(plan: Plan, **flavors: float) -> dict[str, float]:
    """Durations of all tasks, by the flavor's last character."""
    return {key: flavors[f"of_{task.flavor[-1]}"] for key, task in plan.tasks.items()}


def test_the_longest_come_first_and_to_whom_has_least(small: Plan) -> None:
    durations = seconds(small, of_0=1, of_1=5, of_2=2, of_3=3)
    parts = cut(small, 2, durations)
    flavors = [sorted({case.flavor.id for case in part.cases}) for part in parts]
    assert flavors == [["flavor-0", "flavor-1"], ["flavor-2", "flavor-3"]]


def test_without_durations_phases_are_counted_and_equal_ones_told_apart_by_name(
    small: Plan,
) -> None:
    parts = cut(small, 4, {})
    assert [part.cases[0].flavor.id for part in parts] == [f"flavor-{n}" for n in range(4)]
    assert shards.assign(small, 4, {}) == shards.assign(small, 4, {})


def test_a_duration_that_is_not_known_is_that_of_its_kind(small: Plan) -> None:
    known = {
        "flavor-0.basic.save-load.save": 10.0,
        "flavor-0.basic.save-load.load": 2.0,
        "flavor-1.basic.save-load.save": 20.0,
    }
    found = shards.weights(small.tasks, known)
    assert found["flavor-2.basic.save-load.save"] == 15.0  # of the script
    assert found["flavor-1.basic.save-load.load"] == 2.0
    assert found["flavor-0.basic.save-load.load.control"] == 2.0  # of script and flavor
    predict = "flavor-3.basic.save-predict.load"
    assert found[predict] == pytest.approx(32 / 3)  # of all
    assert set(shards.weights(small.tasks, {}).values()) == {1.0}


def test_more_shards_than_bundles_leave_empty_ones(small: Plan) -> None:
    parts = cut(small, 7, {})
    assert [len(part.cases) for part in parts] == [2, 2, 2, 2, 0, 0, 0]
    assert parts[-1].tasks == {}


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, 1000.0]), min_size=20, max_size=20))
def test_every_case_is_in_one_shard_whatever_took_how_long(
    small: Plan, weights: list[float]
) -> None:
    durations = dict(zip(small.tasks, weights, strict=False))
    parts = cut(small, 3, durations)
    assert sorted(case.id for part in parts for case in part.cases) == sorted(
        case.id for case in small.cases
    )
    loads = [sum(durations[key] for key in part.tasks) for part in parts]
    longest = max(sum(durations[key] for key in bundle.tasks) for bundle in shards.bundles(small))
    assert max(loads) - min(loads) <= longest + 1e-9


@pytest.mark.parametrize(
    ("text", "number", "count"), [("2/5", 2, 5), (" 1/1 ", 1, 1), ("007/0010", 7, 10)]
)
def test_a_shard_is_named_by_two_numbers(text: str, number: int, count: int) -> None:
    assert shards.parse(text) == Shard(number, count)
    assert str(Shard(number, count)) == f"{number}/{count}"


@pytest.mark.parametrize("text", ["", "2", "0/5", "6/5", "2/0", "2/5/7", "a/b", "-1/5", "1/1001"])
def test_what_is_no_shard_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="SHARD"):
        shards.parse(text)
