"""The search for the place in an ordered list where the answer changes. Pure.

Answers are False up to some place and True from there on; None is that of an entry which cannot
be asked. Such an entry is taken for neither: where some stand at the place, a range is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Answer = bool | None


@dataclass(frozen=True)
class Bracket:
    """Where the answer changes: after one entry, and not after the other.

    Attributes:
        last: index of the last entry whose answer is known to be False.
        first: index of the first one after it whose answer is known to be True.
    """

    last: int
    first: int

    @property
    def between(self) -> range:
        """Indices of the entries that may be on either side."""
        return range(self.last + 1, self.first)


def search(count: int, ask: Callable[[int], Answer]) -> Bracket:
    """Finds the place with few questions.

    The first entry is taken to answer False and the last one True; neither is asked. No entry is
    asked twice, and at most ⌈log₂(count - 1)⌉ answers are False or True: each halves what is left.

    Args:
        count: entries of the list, at least two.
        ask: the answer of an entry, by its index.

    Returns:
        The place; nothing stands between its two entries but what cannot be asked.
    """
    answers: dict[int, Answer] = {0: False, count - 1: True}
    while (index := following(count, answers)) is not None:
        answers[index] = ask(index)
    return bracket(count, answers)


def following(count: int, answers: Mapping[int, Answer]) -> int | None:
    """The entry to ask next, or None where nothing is left to ask."""
    open_ones = [index for index in bracket(count, answers).between if index not in answers]
    return open_ones[len(open_ones) // 2] if open_ones else None


def bracket(count: int, answers: Mapping[int, Answer]) -> Bracket:
    """What the answers so far say of the place.

    Where they contradict each other it is the first change that they show.
    """
    first = min((index for index, answer in answers.items() if answer is True), default=count - 1)
    earlier = (index for index, answer in answers.items() if answer is False and index < first)
    return Bracket(max(earlier, default=0), first)
