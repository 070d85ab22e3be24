from __future__ import annotations

from dataclasses import replace

from harness.catalog import catalog
from harness.plan import order, planner
from harness.plan.plan import Task
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
    selected = catalog.load(root).select(["two"], (), ["save-load"])
    (pair,) = selected.pairs()
    assert pair.inapplicable == "its save phase is of two too: nothing is handed to another flavor"
    made = planner.make(selected, provider="builtin")
    assert (made.cases, made.tasks) == ((), {})


SAVE = "test-flavor.basic.save-load.save"


def test_a_task_starts_when_its_input_has_completed(tmp_path):
    tasks = planned(tmp_path).tasks
    schedule = order.Schedule(tasks)
    assert [task.key for task in schedule.start(9)] == [SAVE]
    assert schedule.start(9) == []
    schedule.completed(SAVE)
    others = [key for key in tasks if key != SAVE]
    assert [task.key for task in schedule.start(1)] == others[:1]
    assert [task.key for task in schedule.start(9)] == others[1:]
    assert schedule.failed(others[0]) == []


def test_what_needs_a_task_that_failed_never_starts(tmp_path):
    chain = FAMILY.replace(
        '[[scenario.phase]]\nid = "load"',
        '[[scenario.phase]]\nid = "between"\nscript = "load.py"\nrole = "convert"\n\n'
        '[[scenario.phase]]\nid = "load"',
        1,
    )
    root = lay_out(tmp_path, families={"basic": chain})
    tasks = planner.make(catalog.load(root), provider="builtin").tasks
    schedule = order.Schedule(tasks)
    schedule.start(1)
    assert {task.key for task in schedule.failed(SAVE)} == set(tasks) - {SAVE}
    assert schedule.start(9) == []


def test_the_schedule_reads_the_tasks_once_however_many_share_one():
    class Counted(dict[str, Task]):
        passes = 0

        def values(self):
            self.passes += 1
            return super().values()

        def __iter__(self):
            self.passes += 1
            return super().__iter__()

    save = Task("f.save", "f", "f", "s.py", "train", "builtin", {}, {}, None, None, 1.0)
    readers = [replace(save, key=f"f.{number}", input="f.save") for number in range(100)]
    tasks = Counted({task.key: task for task in [save, *readers]})
    schedule = order.Schedule(tasks)
    schedule.start(1)
    schedule.completed("f.save")
    while started := schedule.start(2):
        for number, task in enumerate(started):
            if number:
                schedule.failed(task.key)
            else:
                schedule.completed(task.key)
    assert tasks.passes == 2
    failing = order.Schedule(tasks)
    failing.start(1)
    assert failing.failed("f.save") == readers
    assert tasks.passes == 4


def test_the_tf1_part_of_the_matrix_has_25_phases_without_evidence():
    own = catalog.load(ROOT).select(["tf1-tfkeras", "tf1-keras22"], ["keras_saveload"])
    made = planner.make(own, provider="builtin")
    bare = [task for task in made.tasks.values() if task.control_of is None]
    assert len(bare) == 25
    assert len(made.cases) == 16


def test_a_pair_that_can_never_apply_is_no_case():
    own = catalog.load(ROOT)
    made = planner.make(own, provider="builtin")
    pairs = list(own.pairs())
    assert len(pairs) == len(own.flavors) * len(own.scenarios)
    assert [case.id for case in made.cases] == [
        pair.id for pair in pairs if pair.inapplicable is None
    ]
    assert 0 < len(made.cases) < len(pairs)
    assert all(case.skip is None and case.uses for case in made.cases)
