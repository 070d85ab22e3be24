"""What differs between the repeats of a soak, as lines and as an exit code."""

from __future__ import annotations

import pytest

from harness.run.soak import soak
from harness.run.soak.soak import ABSENT, Difference, Repeat, Seen, Soak


def differing(*repeats: dict[str, object]) -> list[tuple[str, list[tuple[object, list[int]]]]]:
    """Name, and each value with its repeats, as the repeats of these values have them."""
    first = repeats[0]
    others = [soak.deviations(first, other) for other in repeats[1:]]
    return [
        (entry.name, [(seen.value, seen.repeats) for seen in entry.seen])
        for entry in soak.differences(first, others)
    ]


def test_equal_repeats_do_not_differ():
    assert differing({"a": 1, "b": None}, {"a": 1, "b": None}, {"b": None, "a": 1}) == []
    assert differing({"a": 1}) == []


def test_each_value_is_told_with_its_repeats_the_first_first():
    assert differing({"a": 2, "b": 5}, {"a": 1, "b": 5}, {"a": 2, "b": 5}, {"a": 3, "b": 5}) == [
        ("a", [(2, [1, 3]), (1, [2]), (3, [4])])
    ]


def test_what_one_repeat_lacks_differs():
    assert differing({"a": 1, "c": 0}, {"c": 0}, {"a": 1, "c": 0, "b": 2}) == [
        ("a", [(1, [1, 3]), (ABSENT, [2])]),
        ("b", [(ABSENT, [1, 2]), (2, [3])]),
    ]


def test_not_known_is_a_value_of_its_own():
    assert differing({"a": None}, {"a": 0}, {}) == [("a", [(None, [1]), (0, [2]), (ABSENT, [3])])]


def test_a_number_is_compared_to_its_last_bit_and_one_that_is_none_equals_itself():
    third = 0.1 + 0.2
    assert differing({"a": 0.3}, {"a": third}) == [("a", [(0.3, [1]), (third, [2])])]
    assert differing({"a": float("nan")}, {"a": float("nan")}) == []


def made(*codes: int, **values: object) -> Soak:
    repeats = [
        Repeat(number=number, run=str(number), exit_code=code)
        for number, code in enumerate(codes, 1)
    ]
    base = {
        "id": "x", "state": "finished", "started": "t", "engine": "venv", "accelerator": "virtual",
        "provider": "builtin", "planned": len(codes), "cases": 36, "phases": 141,
        "repeats": repeats,
    }  # fmt: skip
    return Soak(**{**base, **values})


ONE = [Difference(name="a", seen=[Seen(value=1, repeats=[1]), Seen(value=2, repeats=[2])])]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (made(0, 0), 0),
        (made(0, 0, numbers=ONE), 2),
        (made(0, 2), 2),
        (made(0, 0, verdicts=ONE), 1),
        (made(0, 2, verdicts=ONE, numbers=ONE), 1),
        (made(1, 1), 1),
        (made(0, 1, 2), 1),
        (made(1, 3), 3),
        (made(0, 0, state="interrupted"), 130),
        (made(1, state="interrupted"), 130),
        (made(state="interrupted"), 130),
    ],
)
def test_exit_code(found, code):
    assert soak.exit_code(found) == code


def test_lines_of_a_soak_in_which_nothing_differs():
    assert list(soak.lines(made(0, 0, 0))) == [
        "3 repeats of 36 cases, 141 phases: 0 verdicts differ, 0 numbers differ"
    ]


def test_lines_have_each_difference_with_its_values_and_counts():
    verdict = Difference(
        name="f.x.s: state restored",
        seen=[Seen(value="passed", repeats=[1, 3]), Seen(value="failed", repeats=[2])],
    )
    number = Difference(
        name="f.x.s.load: weights saved: sha256",
        seen=[Seen(value="a" * 64, repeats=[1]), Seen(value=None, repeats=[2, 3])],
    )
    found = made(
        0, 1, 0, verdicts=[verdict], numbers=[number, *ONE], times=["seconds", "step_ms"],
        samples=["samples"],
    )  # fmt: skip
    assert list(soak.lines(found)) == [
        "3 repeats of 36 cases, 141 phases: 1 verdict differs, 2 numbers differ",
        "verdict  f.x.s: state restored: passed (2x), failed (1x)",
        f"number   f.x.s.load: weights saved: sha256: {'a' * 18} … (1x), unknown (2x)",
        "number   a: 1 (1x), 2 (1x)",
        "not compared: times (seconds, step_ms); samples (samples)",
    ]


def test_many_values_are_cut_in_the_line():
    seen = [Seen(value=number / 10, repeats=[number]) for number in range(1, 21)]
    (_, line) = soak.lines(made(0, numbers=[Difference(name="loss", seen=seen)]))
    assert line.startswith("number   loss: 0.1 (1x), 0.2 (1x), ")
    assert line.endswith(", 0.6 (1x), and 14 more values")


def test_an_interrupted_soak_says_how_many_repeats_it_compares():
    first, second = soak.lines(made(0, 0, state="interrupted", planned=20))
    assert first == "interrupted: 2 of 20 repeats are compared"
    assert second.startswith("2 repeats of 36 cases")
