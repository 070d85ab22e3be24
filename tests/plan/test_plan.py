from __future__ import annotations

import re
from dataclasses import replace

from harness.catalog import catalog
from harness.catalog.providers import BUILTIN
from harness.plan import order, planner
from harness.plan.plan import Task
from harness.plan.scale import Goal
from tests import variants
from tests.catalog.test_defects import toml
from tests.paths import ROOT
from tests.projects import FAMILY, FLAVOR, lay_out, provider


def planned(tmp_path, **options):
    return planner.make(catalog.load(lay_out(tmp_path)), **options)


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
    family = FAMILY.replace(
        'restores = ["weights"]', 'expects = "state_restored"\ncaught_in = "load"', 1
    )
    root = lay_out(tmp_path, families={"basic": family})
    made = planner.make(catalog.load(root).swapping_by([provider("tflms")]))
    canary, other = made.cases
    assert canary.provider == BUILTIN
    assert made.tasks[canary.uses[1].key].provider == "builtin"
    assert other.provider.id == "tflms"
    assert made.tasks[other.uses[1].key].provider == "tflms"


def test_each_provider_makes_cases_and_phases_of_its_own(tmp_path):
    own = catalog.load(lay_out(tmp_path))
    alone = planner.make(own)
    made = planner.make(own.swapping_by([BUILTIN, provider("other", variables={"A": "1"})]))
    assert made.provider == "builtin,other"
    assert [case.id for case in made.cases] == [
        "test-flavor.basic.save-load",
        "test-flavor.basic.save-load.other",
        "test-flavor.basic.save-predict",
        "test-flavor.basic.save-predict.other",
    ]
    # Those of our own are what they are alone.
    assert {key: task for key, task in made.tasks.items() if not key.endswith(".other")} == (
        alone.tasks
    )
    use = made.cases[1].uses[1]
    assert use.key == "test-flavor.basic.save-load.load.other"
    assert made.tasks[use.key].provider == "other"
    assert made.tasks[use.key].variables["A"] == "1"
    assert made.tasks[use.key].cold  # what it imports may read A
    # The control loads what was saved with the provider, and has neither it nor its variables.
    control = made.tasks[use.control]
    assert (control.provider, control.input) == ("off", made.tasks[use.key].input)
    assert "A" not in control.variables
    assert not control.cold


def test_a_provider_without_variables_changes_nothing_of_how_a_phase_starts(tmp_path):
    made = planner.make(catalog.load(lay_out(tmp_path)).swapping_by([provider("other")]))
    assert not any(task.cold for task in made.tasks.values())


def test_a_phase_that_starts_from_nothing_says_so(tmp_path):
    family = FAMILY.replace('script = "load.py"', 'script = "load.py"\ncold = true')
    made = planner.make(catalog.load(lay_out(tmp_path, families={"basic": family})))
    save, load = made.cases[0].uses
    assert made.tasks[load.key].cold
    assert made.tasks[load.control].cold
    assert not made.tasks[save.key].cold


def test_a_provider_that_the_accelerator_has_nothing_for_is_skipped(tmp_path):
    own = catalog.load(lay_out(tmp_path))
    made = planner.make(own.swapping_by([provider("managed", accelerators=("gpu",))]))
    assert {case.skip for case in made.cases} == {"provider managed needs a GPU"}
    assert made.tasks == {}
    goal = Goal(1024, 80 * 2**30)
    made = planner.make(own.swapping_by([provider("managed", accelerators=("gpu",))]), goal=goal)
    assert {case.skip for case in made.cases} == {None}


def test_a_provider_has_cases_only_where_it_works(tmp_path):
    own = catalog.load(lay_out(tmp_path))
    elsewhere = provider("elsewhere", backends=("jax",), modes=("function",))
    assert planner.make(own.swapping_by([elsewhere])).cases == ()
    (reason,) = {pair.inapplicable for pair in own.swapping_by([elsewhere]).pairs()}
    assert reason == (
        "provider elsewhere works in jax's function mode, not in tensorflow's session mode"
    )
    needy = provider("needy", packages=("trl",))
    (reason,) = {pair.inapplicable for pair in own.swapping_by([needy]).pairs()}
    assert reason == "provider needy needs trl, which is not in the environment"


def test_a_role_in_which_a_provider_does_nothing_has_no_reference(tmp_path):
    trains = provider("trains", roles=("train",))
    made, load, predict = loads(tmp_path, with_reference("reference = {}"), swapping=trains)
    assert load.reference is not None
    assert predict.reference is None
    assert made.cases[1].unswapped == {
        "predict": "provider trains does nothing in a phase that predicts"
    }


def test_a_canary_may_be_one_of_each_provider(tmp_path):
    family = FAMILY.replace(
        'restores = ["weights"]', 'expects = "state_restored"\ncaught_in = "load"', 1
    )
    every = family.replace("expects", "every_provider = true\nexpects", 1)
    root = lay_out(tmp_path, families={"basic": every})
    made = planner.make(catalog.load(root).swapping_by([BUILTIN, provider("other")]))
    assert [case.id for case in made.cases if case.scenario.expects] == [
        "test-flavor.basic.save-load",
        "test-flavor.basic.save-load.other",
    ]


def test_a_flavor_that_is_not_there_is_skipped_with_the_reason(tmp_path):
    root = lay_out(tmp_path, flavors={"one": FLAVOR, "two": FLAVOR})
    made = planner.make(catalog.load(root)).without({"two": "no Python"})
    assert {case.skip for case in made.cases if case.flavor.id == "two"} == {"no Python"}
    assert {task.flavor for task in made.tasks.values()} == {"one"}


HANDED_ON = FAMILY.replace('script = "save.py"', 'script = "save.py"\nflavor = "two"', 1)


def test_a_phase_of_another_flavor(tmp_path):
    root = lay_out(tmp_path, flavors={"one": FLAVOR, "two": FLAVOR}, families={"basic": HANDED_ON})
    made = planner.make(catalog.load(root).select(["one"], (), ["save-load"]))
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
    made = planner.make(selected)
    assert (made.cases, made.tasks) == ((), {})


SAVE = "test-flavor.basic.save-load.save"


def start(schedule, count):
    """At most so many tasks or groups that can start."""
    return [tasks for _ in range(count) if (tasks := schedule.next()) is not None]


def keys(started):
    """Keys of tasks that start alone."""
    return [task.key for (task,) in started]


def test_a_task_starts_when_its_input_has_completed(tmp_path):
    tasks = planned(tmp_path).tasks
    schedule = order.Schedule(tasks)
    assert keys(start(schedule, 9)) == [SAVE]
    assert start(schedule, 9) == []
    schedule.completed(SAVE)
    others = [key for key in tasks if key != SAVE]
    assert keys(start(schedule, 1)) == others[:1]
    assert keys(start(schedule, 9)) == others[1:]
    assert schedule.failed(others[0]) == []


def test_what_needs_a_task_that_failed_never_starts(tmp_path):
    chain = FAMILY.replace(
        '[[scenario.phase]]\nid = "load"',
        '[[scenario.phase]]\nid = "between"\nscript = "load.py"\nrole = "convert"\n\n'
        '[[scenario.phase]]\nid = "load"',
        1,
    )
    root = lay_out(tmp_path, families={"basic": chain})
    tasks = planner.make(catalog.load(root)).tasks
    schedule = order.Schedule(tasks)
    start(schedule, 1)
    assert {task.key for task in schedule.failed(SAVE)} == set(tasks) - {SAVE}
    assert start(schedule, 9) == []


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
    start(schedule, 1)
    schedule.completed("f.save")
    while started := start(schedule, 2):
        for number, (task,) in enumerate(started):
            if number:
                schedule.failed(task.key)
            else:
                schedule.completed(task.key)
    assert tasks.passes == 2
    failing = order.Schedule(tasks)
    start(failing, 1)
    assert failing.failed("f.save") == readers
    assert tasks.passes == 4


def test_the_tf1_part_of_the_matrix_has_25_phases_without_evidence():
    own = catalog.load(ROOT).select(["tf1-tfkeras", "tf1-keras22"], ["keras_saveload"])
    made = planner.make(own)
    evidence = {use.control for case in made.cases for use in case.uses} | {
        use.reference for case in made.cases for use in case.uses if use.reference_declared
    }
    evidence |= {key for case in made.cases for use in case.uses for key in use.straights}
    assert len(set(made.tasks) - evidence) == 25
    assert len(made.cases) == 16


def test_a_pair_that_can_never_apply_is_no_case():
    own = catalog.load(ROOT)
    made = planner.make(own)
    pairs = list(own.pairs())
    # A flavor that is there for others is paired with none of the canaries that are our own's.
    ours = [flavor for flavor in own.flavors if not flavor.providers]
    written = [pair for pair in pairs if not pair.scenario.values and not pair.flavor.providers]
    scenarios = [scenario for scenario in own.scenarios if not scenario.values]
    assert len(written) == len(ours) * len(scenarios)
    assert [case.id for case in made.cases] == [
        pair.id for pair in pairs if pair.inapplicable is None
    ]
    assert 0 < len(made.cases) < len(pairs)
    assert all(case.skip is None and case.uses for case in made.cases)


def with_reference(declared: str) -> str:
    """The family, with a line in the load phase of both of its scenarios."""
    loading = re.compile(r'^script = "(load|predict)\.py"$', re.MULTILINE)
    return loading.sub(lambda match: f"{match.group()}\n{declared}", FAMILY)


def loads(tmp_path, family, **options):
    """The plan, and the use of the load phase of both scenarios."""
    made = planned_of(tmp_path, family, **options)
    return made, *(case.uses[1] for case in made.cases)


def planned_of(tmp_path, family, flavor=FLAVOR, swapping=BUILTIN, **options):
    root = lay_out(tmp_path, flavors={"test-flavor": flavor}, families={"basic": family})
    return planner.make(catalog.load(root).swapping_by([swapping]), **options)


def test_the_phase_that_saved_is_the_reference_where_its_role_is_the_same(tmp_path):
    _, load, predict = loads(tmp_path, FAMILY)
    assert (load.reference, load.reference_declared) == ("test-flavor.basic.save-load.save", False)
    assert predict.reference is None


def test_an_earlier_phase_can_be_declared_whatever_its_role(tmp_path):
    made, load, predict = loads(tmp_path, with_reference('reference = "save"'))
    for use in (load, predict):
        assert use.reference == "test-flavor.basic.save-load.save"
        assert use.reference_declared
    assert len(made.tasks) == 5


def test_a_reference_of_its_own_is_told_that_it_loads_nothing(tmp_path):
    made, load, _ = loads(
        tmp_path,
        with_reference('variables = { A = "1", LMS_EDIT_IN_PLACE = "1" }\nreference = {}'),
    )
    reference, phase = made.tasks[load.reference], made.tasks[load.key]
    assert load.reference == "test-flavor.basic.save-load.load.reference"
    assert load.reference_declared
    assert (reference.script, reference.provider) == (phase.script, phase.provider)
    assert (reference.input, reference.control_of) == (None, None)
    # What a canary breaks in the phase is whole in its reference.
    assert {name: reference.variables.get(name) for name in ("A", "LMS_EDIT_IN_PLACE")} == {
        "A": "1",
        "LMS_EDIT_IN_PLACE": None,
    }
    assert reference.variables["LMS_REFERENCE"] == "1"
    assert "LMS_REFERENCE" not in phase.variables
    (case, _) = made.cases
    assert load.reference in case.keys


def test_references_that_are_the_same_are_one_phase(tmp_path):
    family = with_reference('reference = { script = "predict.py" }').replace(
        'role = "predict"', 'role = "train"'
    )
    made, load, other = loads(tmp_path, family)
    assert load.reference == other.reference
    assert sum(key.endswith(".reference") for key in made.tasks) == 1
    made, load, other = loads(tmp_path / "apart", family, share=False)
    assert load.reference != other.reference


def test_a_script_that_never_loads_is_shared_with_the_scenarios_that_begin_with_it(tmp_path):
    declared = 'reference = { script = "save.py", loads = false }'
    _, load, _ = loads(tmp_path, with_reference(declared))
    assert load.reference == "test-flavor.basic.save-load.save"
    assert load.reference_declared


def test_no_reference_where_lms_has_nothing_to_do(tmp_path):
    lacking = FLAVOR + '\n[lacks]\npredict_swapping = "nothing is kept"\n'
    _, load, predict = loads(tmp_path, with_reference("reference = {}"), flavor=lacking)
    assert load.reference is not None
    assert predict.reference is None
    _, *uses = loads(tmp_path / "off", with_reference("reference = {}"), swapping=provider("off"))
    assert [use.reference for use in uses] == [None, None]


def test_a_case_has_the_known_defects_that_cover_it(tmp_path):
    root = lay_out(tmp_path)
    entry = toml(scenarios=["save-load"])
    (root / "scenarios" / "known-defects.toml").write_text(entry)
    own = catalog.load(root)
    first, second = planner.make(own).cases
    (known,) = own.defects[0].sightings
    assert (first.known, second.known) == ((known,), ())
    (alone,) = planner.make(own.select(scenarios=["*-load"])).cases
    assert alone.known == (known,)


def test_a_variant_has_no_control_and_no_reference(tmp_path):
    made = planner.make(variants.loaded(tmp_path).select(flavors=["full"]))
    assert len(made.cases) == 9
    uses = [use for case in made.cases for use in case.uses]
    assert {(use.control, use.reference) for use in uses} == {(None, None)}
    load = made.tasks["full.state.dense-adam-h5.load"]
    assert load.variables["VARIANT_FORMAT"] == "h5"
    assert load.input == "full.state.dense-adam-h5.save"


def test_a_shortened_plan_has_the_phases_and_what_is_asked_for():
    flavors, scenarios = ["tf2-tfkeras"], ["trainsave-loadtrain"]
    made = planner.make(catalog.load(ROOT).select(flavors, [], scenarios))
    (case,) = made.cases
    first, last = (use.key for use in case.uses)
    bare = made.resting_on(controls=False, references=False, straights=False)
    assert list(bare.tasks) == [key for key in made.tasks if key in (first, last)]
    assert bare.cases[0].keys == (first, last)
    controls = made.resting_on(controls=True, references=False, straights=False)
    assert set(controls.tasks) == {first, last, f"{last}.control"}
    straights = made.resting_on(controls=False, references=False, straights=True)
    assert set(straights.tasks) - {first, last} == set(case.uses[-1].straights) != set()
    assert made.resting_on(controls=True, references=True, straights=True) == made
