"""How far batches are scaled on a GPU, and that nothing is where there is none."""

from __future__ import annotations

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.plan import planner
from harness.plan.plan import Plan
from harness.plan.scale import Goal
from tests.paths import ROOT
from tests.projects import FAMILY, lay_out

GIB = 2**30
SCALED = f"activations_mib = 64\n{FAMILY}"


@pytest.mark.parametrize(
    ("goal", "memory", "activations", "factor"),
    [
        (1024, 80 * GIB, 64, 16),
        (1024, 80 * GIB, 64.6, 16),
        (1024, 80 * GIB, 2000, 1),
        (1025, 80 * GIB, 64, 17),
        (1024, 80 * GIB, 0.8, 1280),
        (1024, GIB, 64, 8),
        (1024, GIB, 65, 7),
        (1024, GIB // 32, 64, 1),
        (1024, None, 64, 16),
        (0, 80 * GIB, 64, 1),
        (1024, 80 * GIB, 0, 1),
    ],
)
def test_the_least_that_reaches_the_goal_or_the_largest_that_fits(
    goal: int, memory: int | None, activations: float, factor: int
) -> None:
    assert Goal(goal, memory).scale(activations) == factor


def factors(made: Plan) -> set[str | None]:
    return {task.variables.get("BATCH_SCALE") for task in made.tasks.values()}


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (Goal(1024, 80 * GIB), {"16"}),
        (Goal(1024, GIB), {"8"}),
        (Goal(0, 80 * GIB), {None}),
        (None, {None}),
    ],
)
def test_all_phases_of_a_scenario_have_one_scale(tmp_path, goal, expected):
    family = SCALED.replace('id = "load"', 'id = "load"\nreference = {}')
    own = catalog.load(lay_out(tmp_path, families={"basic": family}))
    made = planner.make(own, goal=goal)
    assert any(key.endswith(".control") for key in made.tasks)
    assert any(key.endswith(".reference") for key in made.tasks)
    assert factors(made) == expected
    if expected == {None}:
        assert made == planner.make(own)


def test_a_scenario_that_does_not_say_what_it_holds_is_not_scaled(tmp_path):
    own = catalog.load(lay_out(tmp_path))
    assert factors(planner.make(own, goal=Goal(1024, 80 * GIB))) == {None}


def test_a_scenario_says_otherwise_than_its_family(tmp_path):
    family = SCALED.replace('id = "save-predict"', 'id = "save-predict"\nactivations_mib = 0')
    own = catalog.load(lay_out(tmp_path, families={"basic": family}))
    assert [scenario.activations_mib for scenario in own.scenarios] == [64, 0]
    made = planner.make(own, goal=Goal(1024, 80 * GIB))
    one, other = (made.tasks[case.uses[0].key] for case in made.cases)
    assert (one.variables["BATCH_SCALE"], other.variables.get("BATCH_SCALE")) == ("16", None)


@pytest.mark.parametrize("value", ["-1", '"much"', "inf"])
def test_what_is_no_size_is_one_clear_line(tmp_path, value):
    family = f"activations_mib = {value}\n{FAMILY}"
    with pytest.raises(UsageError, match="save-load: activations_mib: Input should be"):
        catalog.load(lay_out(tmp_path, families={"basic": family}))


def test_no_scenario_sets_the_scale_itself(tmp_path):
    family = FAMILY.replace(
        'role = "train"', 'role = "train"\nvariables = { BATCH_SCALE = "2" }', 1
    )
    with pytest.raises(UsageError, match="BATCH_SCALE is set by the harness alone"):
        catalog.load(lay_out(tmp_path, families={"basic": family}))


def test_what_the_project_shares_on_the_cpu_it_shares_on_a_gpu():
    own = catalog.load(ROOT)
    plain = planner.make(own)
    scaled = planner.make(own, goal=Goal(1024, 80 * GIB))
    # Its batch is that of somebody's SavedModel, so its scenario is not scaled.
    apart = {key for key in scaled.tasks if ".savedmodel_pretrained." in key}
    assert set(plain.tasks) - apart == set(scaled.tasks) - apart
    unscaled = {
        key.split(".", 1)[1].rsplit(".", 1)[0]
        for key, task in scaled.tasks.items()
        if "BATCH_SCALE" not in task.variables
        and not key.endswith((".control", ".reference", ".straight", ".straight-again"))
        and task.family != "keras_state"  # tiny models: no step of them is measured
    }
    assert unscaled == {"tf_serialization.savedmodel_pretrained", "distribute.subclassed-loadtrain"}
