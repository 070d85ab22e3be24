"""The search over every shape of list: the true place or the smallest range, with few questions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bisect import search
from harness.bisect.search import Answer, Bracket


@st.composite
def lists(draw: st.DrawFn) -> tuple[int, int, frozenset[int]]:
    """How many entries, the index of the first that answers True, and those that answer nothing."""
    count = draw(st.integers(2, 200))
    first = draw(st.integers(1, count - 1))
    silent = draw(st.frozensets(st.integers(1, count - 2))) if count > 2 else frozenset()
    return count, first, silent


@given(lists())
def test_the_true_place_or_the_smallest_range(shape: tuple[int, int, frozenset[int]]) -> None:
    count, first, silent = shape
    asked: list[int] = []

    def ask(index: int) -> Answer:
        asked.append(index)
        return None if index in silent else index >= first

    found = search.search(count, ask)
    audible = [index for index in range(count) if index not in silent]
    assert found.last == max(index for index in audible if index < first)
    assert found.first == min(index for index in audible if index >= first)
    assert set(found.between) <= silent
    assert len(set(asked)) == len(asked)
    assert not {0, count - 1} & set(asked)
    assert len(asked) <= math.ceil(math.log2(max(count - 1, 1))) + len(silent)


@given(lists())
def test_a_search_that_is_gone_on_with_asks_nothing_again(
    shape: tuple[int, int, frozenset[int]],
) -> None:
    """What is known after a stop is enough to end at the same place."""
    count, first, silent = shape
    answers: dict[int, Answer] = {0: False, count - 1: True}
    while (index := search.following(count, answers)) is not None:
        assert index not in answers
        between = search.bracket(count, answers).between
        assert first in [*between, between.stop]
        answers[index] = None if index in silent else index >= first
    assert search.bracket(count, answers) == search.search(count, answers.__getitem__)


@pytest.mark.parametrize(
    ("answers", "place"),
    [
        ({}, Bracket(0, 9)),
        ({0: False, 9: True}, Bracket(0, 9)),
        ({0: False, 4: False, 6: None, 9: True}, Bracket(4, 9)),
        ({0: False, 3: True, 6: False, 9: True}, Bracket(0, 3)),
    ],
)
def test_what_answers_say(answers: dict[int, Answer], place: Bracket) -> None:
    assert search.bracket(10, answers) == place


def test_neighbours_leave_nothing_to_ask() -> None:
    assert search.search(2, lambda index: pytest.fail(f"{index} was asked")) == Bracket(0, 1)
