"""Which GPU a task may have: none twice at a time, none that is gone, one kind for one case."""

from __future__ import annotations

from harness.measure.gpu import Gpu
from harness.plan.plan import Task
from harness.record.models import Attempt, Outcome
from harness.run.attempts.places import Places


def gpu(index: int, name: str = "H100", total: int = 80) -> Gpu:
    return Gpu(index, f"GPU-{index}", name, total, None, None, (9, 0), None)


def task(key: str) -> Task:
    return Task(key, "f", "x", "s.py", "train", "builtin", {}, {}, None, None, 1.0)


A, B, OLD = gpu(0), gpu(1), gpu(2, "T4", 16)
ONE, OTHER = task("one"), task("other")
ALIKE = {"one": "c", "control": "c", "other": "d"}


def tried_on(*gpus: Gpu) -> dict[str, list[Attempt]]:
    return {
        "one": [
            Attempt(number=n, outcome=Outcome.ENGINE_ERROR, gpu=entry.uuid, directory="d")
            for n, entry in enumerate(gpus, 1)
        ]
    }


def test_without_gpus_there_are_places_on_the_cpu() -> None:
    places = Places((), 3, {})
    assert (places.free, places.count, places.none_left) == ([None] * 3, 3, None)
    places.take(None, [ONE])
    assert places.free == [None, None]
    places.give_back(None, None)
    assert places.free == [None] * 3
    assert places.fits(None, [ONE], tried_on(A))


def test_a_gpu_is_one_place() -> None:
    places = Places([A, B], 8, {})
    assert places.free == [A, B]
    places.take(A, [ONE])
    assert places.free == [B]
    places.give_back(A, None)
    assert places.free == [B, A]


def test_a_gpu_that_is_gone_is_none_any_more() -> None:
    places = Places([A, B], 1, {})
    places.take(A, [ONE])
    places.give_back(A, "GPU-0 is lost")
    assert (places.free, places.usable, places.none_left) == ([B], [B], None)
    places.take(B, [ONE])
    places.give_back(B, "GPU-1 is lost")
    assert (places.free, places.none_left) == ([], "GPU-1 is lost")


def test_another_attempt_is_on_another_gpu_where_there_is_one() -> None:
    places = Places([A, B], 1, {})
    assert not places.fits(A, [ONE], tried_on(A))
    assert places.fits(B, [ONE], tried_on(A))
    assert places.fits(A, [OTHER], tried_on(A))
    places.take(B, [OTHER])
    assert not places.fits(A, [ONE], tried_on(A)), "the other one is waited for"
    places.give_back(B, "gone")
    assert places.fits(A, [ONE], tried_on(A))
    assert Places([A], 1, {}).fits(A, [ONE], tried_on(A))


def test_gpus_of_one_kind_take_turns_within_a_case() -> None:
    places = Places([A, B], 1, ALIKE)
    places.take(A, [ONE])
    assert places.fits(B, [task("control")], {})


def test_what_a_case_compares_runs_on_one_kind_while_there_is_one() -> None:
    places = Places([A, OLD], 1, ALIKE)
    places.take(A, [ONE])
    assert not places.fits(OLD, [task("control")], {})
    assert places.fits(OLD, [OTHER], {})
    places.give_back(A, None)
    assert places.fits(A, [task("control")], {"control": tried_on(A)["one"]}), "its kind first"
    places.take(A, [ONE])
    places.give_back(A, "gone")
    assert places.fits(OLD, [task("control")], {})
    assert not places.alike(A.uuid, OLD.uuid)
    assert places.alike(A.uuid, None)
    assert Places([A, B], 1, {}).alike(A.uuid, B.uuid)


def test_memory_makes_a_kind_too() -> None:
    small = gpu(3, total=40)
    places = Places([A, small], 1, ALIKE)
    places.take(small, [ONE])
    assert not places.fits(A, [task("control")], {})


def test_a_group_of_two_kinds_of_cases_is_not_stuck() -> None:
    places = Places([A, OLD], 1, ALIKE)
    places.take(A, [ONE])
    places.take(OLD, [OTHER])
    both = [ONE, OTHER]
    assert [places.fits(entry, both, {}) for entry in (A, OLD)] == [True, False]
