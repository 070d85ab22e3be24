from __future__ import annotations

from dataclasses import replace

from harness.catalog import catalog
from harness.catalog.providers import BUILTIN
from harness.plan import groups, order, planner
from harness.plan.plan import Task
from tests import variants
from tests.projects import FAMILY, lay_out, provider

FORMATS = "".join(
    f'[[variants.format]]\nid = "f{number}"\ndescription = "format {number}"\n'
    for number in range(20)
)


def planned(tmp_path, family=variants.FAMILY, **selection):
    own = variants.loaded(tmp_path, family).select(**selection)
    return planner.make(own)


def members(tasks):
    found: dict[str | None, list[str]] = {}
    for task in tasks.values():
        found.setdefault(task.group, []).append(task.key)
    return found


def test_tasks_of_variants_with_one_script_are_a_group_a_flavor(tmp_path):
    found = members(planned(tmp_path).tasks)
    assert sorted(found) == [
        f"{flavor}.state.{script}.1"
        for flavor in ("full", "poor")
        for script in ("load", "save", "straight")
    ]
    straights = [2 * combinations for combinations in (4, 3)]  # each runs twice
    assert [len(found[name]) for name in sorted(found)] == [
        *(9, 9, straights[0]),
        *(6, 6, straights[1]),
    ]
    assert all(key.startswith("full.") for key in found["full.state.load.1"])


def test_a_group_is_no_larger_than_what_may_wait_for_it(tmp_path):
    more = variants.FAMILY.replace("[[variants.exclude]]", f"{FORMATS}\n[[variants.exclude]]")
    found = members(planned(tmp_path, more, flavors=["full"]).tasks)
    assert None not in found
    assert max(len(keys) for keys in found.values()) == groups.TASKS
    assert len(found) == len(set(found))


def test_one_task_is_no_group(tmp_path):
    made = planned(tmp_path, flavors=["full"], scenarios=["dense-adam-h5"])
    (case,) = made.cases
    (save, load) = case.uses
    assert {made.tasks[use.key].group for use in (save, load)} == {None}
    (group,) = {made.tasks[key].group for key in load.straights}
    assert group == "full.state.straight.1"


def test_what_starts_from_nothing_is_in_no_group(tmp_path):
    own = variants.loaded(tmp_path).select(flavors=["full"])
    made = planner.make(own.swapping_by([BUILTIN, provider("other", variables={"A": "1"})]))
    grouped = {key for key, task in made.tasks.items() if task.group is not None}
    assert grouped
    assert {key for key in made.tasks if key.endswith(".other")}.isdisjoint(grouped)


def test_scenarios_that_are_written_out_are_in_no_group(tmp_path):
    made = planner.make(catalog.load(lay_out(tmp_path)))
    assert {task.group for task in made.tasks.values()} == {None}


COMPARED = FAMILY.replace(
    'restores = ["weights"]',
    'restores = ["weights"]\nstraight = { script = "save.py", variables = { EPOCHS = "2" } }',
    1,
).replace('script = "predict.py"', 'script = "predict.py"\nreference = { script = "load.py" }')


def compared(tmp_path, family=COMPARED):
    own = catalog.load(lay_out(tmp_path, families={"basic": family}))
    return members(groups.compared(planner.make(own)).tasks)


def test_a_phase_is_in_one_group_with_what_it_is_compared_with(tmp_path):
    load, predict = "test-flavor.basic.save-load.load", "test-flavor.basic.save-predict.load"
    assert compared(tmp_path) == {
        None: ["test-flavor.basic.save-load.save"],
        f"{load}.compared": [load, f"{load}.control"],
        f"{load}.straight.compared": [f"{load}.straight", f"{load}.straight-again"],
        f"{predict}.compared": [predict, f"{predict}.control", f"{predict}.reference"],
    }


def test_what_several_phases_are_compared_with_is_in_the_group_of_the_first(tmp_path):
    other = COMPARED.partition("[[scenario]]")[2].partition("[[scenario]]")[2]
    other = other.replace('"save-predict"', '"save-predict-more"')
    other = other.replace('role = "predict"', 'role = "predict"\nvariables = { MORE = "1" }')
    other = other.replace('"load.py" }', '"load.py", variables = { MORE = "0" } }')
    first = COMPARED.replace('reference = { script = "load.py" }', "").replace(
        'script = "predict.py"',
        'script = "predict.py"\nreference = { script = "load.py", variables = { MORE = "0" } }',
    )
    found = compared(tmp_path, f"{first}\n[[scenario]]{other}")
    place = "test-flavor.basic"
    assert found[f"{place}.save-predict.load.compared"][2:] == [
        f"{place}.save-predict.load.reference"
    ]
    more = f"{place}.save-predict-more.load"
    assert found[f"{more}.compared"] == [more, f"{more}.control"]


def test_a_phase_with_a_client_or_from_nothing_is_compared_with_what_runs_elsewhere(tmp_path):
    family = COMPARED.replace('script = "load.py"\n', 'script = "load.py"\ncold = true\n', 1)
    family = family.replace('script = "predict.py"', 'script = "predict.py"\nclient = "save.py"')
    found = compared(tmp_path, family)
    assert set(found) == {None}
    assert len(found[None]) == 8


def test_groups_of_variants_stay_as_they_are(tmp_path):
    made = planner.make(variants.loaded(tmp_path).select(flavors=["full"]))
    assert groups.compared(made) == made


def test_a_script_that_runs_twice_in_a_chain_does_not_wait_for_itself():
    def task(key, before=None, script="same.py", client=None):
        return Task(key, "f", "x", script, "train", "off", {}, {}, before, None, 1.0, client)

    chains = [
        task(f"{name}{at}", f"{name}{at - 1}" if at else None) for name in "ab" for at in (0, 1)
    ]
    served = [task("c", client="client.py"), task("d", client="client.py")]
    tasks = {entry.key: entry for entry in [*chains, *served]}
    made = groups.grouped(tasks, tasks)
    assert {key: entry.group for key, entry in made.items()} == {
        "a0": "f.x.same.1",
        "b0": "f.x.same.1",
        "a1": "f.x.same.2",
        "b1": "f.x.same.2",
        "c": None,
        "d": None,
    }
    schedule = order.Schedule(made)
    assert [[entry.key for entry in started] for started in iter(schedule.next, None)] == [
        *(["a0", "b0"], ["c"], ["d"])
    ]


def schedule_of(**inputs):
    """A schedule of tasks of one group `g` and their inputs, which are in none."""
    save = Task("", "f", "x", "s.py", "train", "off", {}, {}, None, None, 1.0)
    names = sorted({name for name in inputs.values() if name is not None})
    tasks = {name: replace(save, key=name) for name in names}
    tasks |= {
        key: replace(save, key=key, input=before, group="g") for key, before in inputs.items()
    }
    schedule = order.Schedule(tasks)
    return schedule, [entry.key for started in iter(schedule.next, None) for entry in started]


def started(schedule):
    return [[entry.key for entry in part] for part in iter(schedule.next, None)]


def test_a_group_starts_when_none_of_its_inputs_is_still_to_come():
    schedule, first = schedule_of(one="s1", two="s2", three="s1")
    assert first == ["s1", "s2"]
    schedule.completed("s1")
    assert started(schedule) == []
    schedule.completed("s2")
    assert started(schedule) == [["one", "two", "three"]]
    assert started(schedule) == []


def test_of_a_group_the_tasks_run_whose_input_did_not_fail():
    schedule, _ = schedule_of(one="s1", two="s2")
    schedule.completed("s1")
    assert [entry.key for entry in schedule.failed("s2")] == ["two"]
    assert started(schedule) == [["one"]]


def test_a_group_of_which_no_input_completed_never_starts():
    schedule, _ = schedule_of(one="s1", two="s2")
    assert [entry.key for entry in schedule.failed("s2")] == ["two"]
    assert [entry.key for entry in schedule.failed("s1")] == ["one"]
    assert started(schedule) == []


def test_what_is_left_of_a_group_is_one_of_another_name():
    save = Task("", "f", "x", "s.py", "train", "off", {}, {}, None, None, 1.0)
    tasks = {key: replace(save, key=key, input="a", group="g") for key in ("b", "c")}
    tasks = {"a": replace(save, key="a"), **tasks, "d": replace(save, key="d", group="h")}
    left = order.left(tasks, ["a", "b"], "run-1")
    assert {key: task.group for key, task in left.items()} == {"c": "g.run-1", "d": "h"}
    # An input that is done is there: what reads it starts at once.
    assert started(order.Schedule(left)) == [["c"], ["d"]]
    assert order.left(tasks, [], "run-1") == tasks
