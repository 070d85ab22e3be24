"""The order of what can start: the longest chain first, where it is known how long tasks take."""

from __future__ import annotations

from harness.plan import order
from harness.plan.partners import partners
from harness.plan.plan import Case, Task
from harness.record.models import PhaseUse


def task(key: str, flavor: str = "f", before: str | None = None, group: str | None = None) -> Task:
    return Task(key, flavor, "x", "s.py", "train", "off", {}, {}, before, None, 1.0, group=group)


def ordered(tasks: list[Task], mixed: bool = True, **seconds: float) -> list[str]:
    return list(order.longest_first({task.key: task for task in tasks}, seconds, mixed))


def test_where_nothing_is_known_the_order_stays() -> None:
    tasks = [task("b"), task("a"), task("c", before="a")]
    assert ordered(tasks) == ["b", "a", "c"]
    assert ordered(tasks, other=5.0) == ["b", "a", "c"]


def test_the_longest_comes_first() -> None:
    assert ordered([task("a"), task("b"), task("c")], a=1, b=3, c=2) == ["b", "c", "a"]


def test_a_chain_is_as_long_as_all_of_it() -> None:
    tasks = [task("single"), task("save"), task("load", before="save")]
    assert ordered(tasks, single=5, save=1, load=6) == ["save", "load", "single"]
    assert ordered(tasks, single=5, save=1, load=3) == ["single", "save", "load"]
    # Two that wait for one do so at once.
    more = [*tasks, task("other", before="save")]
    assert ordered(more, single=5, save=1, load=3, other=3)[0] == "single"


def test_what_is_not_known_is_taken_to_be_usual() -> None:
    tasks = [task("a"), task("b"), task("c"), task("new")]
    assert ordered(tasks, a=1, b=2, c=9) == ["c", "b", "new", "a"]


def test_tasks_of_a_group_run_one_after_the_other() -> None:
    tasks = [task("single"), task("one", group="g"), task("two", group="g")]
    assert ordered(tasks, single=5, one=3, two=3) == ["one", "two", "single"]
    assert ordered(tasks, single=7, one=3, two=3) == ["single", "one", "two"]


def test_on_the_cpu_it_goes_flavor_by_flavor() -> None:
    tasks = [task("a1", "a"), task("a2", "a"), task("b1", "b"), task("b2", "b")]
    seconds = {"a1": 1, "a2": 4, "b1": 2, "b2": 9}
    assert ordered(tasks, mixed=False, **seconds) == ["b2", "b1", "a2", "a1"]
    assert ordered(tasks, mixed=True, **seconds) == ["b2", "a2", "b1", "a1"]


def test_a_schedule_hands_out_what_fits_and_keeps_what_does_not() -> None:
    tasks = {key: task(key) for key in "abc"}
    schedule = order.Schedule(tasks)
    assert schedule.next(lambda found: found[0].key == "b") == (tasks["b"],)
    assert schedule.next(lambda found: False) is None
    assert schedule.next() == (tasks["a"],)
    assert schedule.next() == (tasks["c"],)
    assert schedule.next() is None


def test_what_is_asked_for_again_is_handed_out_again_and_ends_once() -> None:
    tasks = {"save": task("save"), "load": task("load", before="save")}
    schedule = order.Schedule(tasks)
    assert schedule.next() == (tasks["save"],)
    schedule.again([tasks["save"]])
    assert schedule.next() == (tasks["save"],)
    assert schedule.next() is None
    schedule.completed("save")
    assert schedule.next() == (tasks["load"],)


def test_of_a_group_a_part_can_be_asked_for_again() -> None:
    tasks = {key: task(key, group="g") for key in "abc"}
    schedule = order.Schedule(tasks)
    assert schedule.next() == (tasks["a"], tasks["b"], tasks["c"])
    schedule.completed("a")
    schedule.again([tasks["b"], tasks["c"]])
    assert schedule.next() == (tasks["b"], tasks["c"])
    schedule.completed("b")
    assert schedule.failed("c") == []


class _Case(Case):
    """A case that rests on these tasks and nothing else."""

    def __init__(self, *keys: str) -> None:
        uses = tuple(PhaseUse(name=key, key=key) for key in keys)
        object.__setattr__(self, "uses", uses)


def test_tasks_of_cases_that_share_one_have_to_do_with_each_other() -> None:
    found = partners([_Case("save", "load"), _Case("save", "predict"), _Case("own", "other")])
    assert found["save"] == found["load"] == found["predict"]
    assert found["own"] == found["other"] != found["save"]
    assert partners([]) == {}
