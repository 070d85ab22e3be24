from __future__ import annotations

from harness.catalog import catalog
from harness.plan import order, planner
from tests.paths import ROOT
from tests.projects import FAMILY, FLAVOR, lay_out


def planned(tmp_path, **options):
    return planner.make(catalog.load(lay_out(tmp_path)), provider="builtin", **options)


def test_a_save_that_several_scenarios_need_runs_once(tmp_path):
    made = planned(tmp_path)
    assert set(made.tasks) == {
        "test-flavor.basic.save-load.save",
        "test-flavor.basic.save-load.load",
        "test-flavor.basic.save-load.load.control",
        "test-flavor.basic.save-predict.load",
        "test-flavor.basic.save-predict.load.control",
    }
    second = made.cases[1]
    assert second.uses[0].key == "test-flavor.basic.save-load.save"


def test_without_sharing_each_scenario_has_its_own_save(tmp_path):
    made = planned(tmp_path, share=False)
    assert len(made.tasks) == 6
    assert made.cases[1].uses[0].key == "test-flavor.basic.save-predict.save"


def test_a_control_differs_from_its_phase_in_the_provider_alone(tmp_path):
    made = planned(tmp_path)
    phase = made.tasks["test-flavor.basic.save-load.load"]
    control = made.tasks["test-flavor.basic.save-load.load.control"]
    assert (phase.provider, control.provider) == ("builtin", "off")
    assert control.control_of == phase.key
    for name in ("flavor", "script", "role", "parameters", "variables", "input", "timeout_s"):
        assert getattr(control, name) == getattr(phase, name)


def test_maximum_swapping_is_the_default(tmp_path):
    task = next(iter(planned(tmp_path).tasks.values()))
    assert task.parameters == {
        "swapout_threshold": 1,
        "swapin_groupby": 0,
        "swapin_ahead": 1,
        "sync_mode": 3,
    }


def test_inputs_come_before_their_readers(tmp_path):
    seen: set[str] = set()
    for task in planned(tmp_path).tasks.values():
        assert task.input is None or task.input in seen
        seen.add(task.key)


def test_canaries_keep_our_own_provider(tmp_path):
    family = FAMILY.replace('restores = ["weights"]', 'expects = "state_restored"', 1)
    made = planner.make(
        catalog.load(lay_out(tmp_path, families={"basic": family})), provider="tflms"
    )
    canary, other = made.cases
    assert canary.provider == "builtin"
    assert made.tasks[canary.uses[1].key].provider == "builtin"
    assert other.provider == "tflms"
    assert made.tasks[other.uses[1].key].provider == "tflms"


def test_a_flavor_that_is_not_there_is_skipped_with_the_reason(tmp_path):
    root = lay_out(tmp_path, flavors={"one": FLAVOR, "two": FLAVOR})
    made = planner.make(catalog.load(root), provider="builtin").without({"two": "no Python"})
    assert {case.skip for case in made.cases if case.flavor.id == "two"} == {"no Python"}
    assert {task.flavor for task in made.tasks.values()} == {"one"}


HANDED_ON = FAMILY.replace('script = "save.py"', 'script = "save.py"\nflavor = "two"', 1)


def test_a_phase_of_another_flavor(tmp_path):
    root = lay_out(tmp_path, flavors={"one": FLAVOR, "two": FLAVOR}, families={"basic": HANDED_ON})
    made = planner.make(catalog.load(root).select(["one"], (), ["save-load"]), provider="builtin")
    (case,) = made.cases
    assert [made.tasks[use.key].flavor for use in case.uses] == ["two", "one"]
    assert set(made.flavors) == {"one", "two"}
    assert next(iter(made.tasks)) == case.uses[0].key
    assert made.without({"two": "no Python"}).cases[0].skip == "no Python"
    assert made.without({"two": "no Python"}).tasks == {}


def test_a_phase_of_the_same_flavor_hands_nothing_over(tmp_path):
    root = lay_out(tmp_path, flavors={"one": FLAVOR, "two": FLAVOR}, families={"basic": HANDED_ON})
    made = planner.make(catalog.load(root).select(["two"], (), ["save-load"]), provider="builtin")
    assert made.cases[0].skip == "its save phase is of two too: nothing is handed to another flavor"


def test_ready_and_dependents(tmp_path):
    made = planned(tmp_path)
    save = "test-flavor.basic.save-load.save"
    assert [task.key for task in order.ready(made.tasks.values(), set())] == [save]
    assert len(list(order.ready(made.tasks.values(), {save}))) == 5
    assert {task.key for task in order.dependents(made, save)} == set(made.tasks) - {save}


def test_the_tf1_part_of_the_matrix_has_25_phases_without_evidence():
    own = catalog.load(ROOT).select(["tf1-tfkeras", "tf1-keras22"], ["keras_saveload"])
    made = planner.make(own, provider="builtin")
    bare = [task for task in made.tasks.values() if task.control_of is None]
    assert len(bare) == 25
    assert sum(case.skip is None for case in made.cases) == 16
