"""Which combinations of values stand for all: a covering array. Pure, and the same on every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import covertable

Row = dict[str, str]  # axis → value

_SALT = "variants"  # orders what is equally good


def rows(
    axes: Mapping[str, Sequence[str]],
    pairs: Sequence[Sequence[str]],
    excluded: Sequence[Mapping[str, Sequence[str]]],
    apart: Sequence[str] = (),
) -> list[Row]:
    """Combinations that hold every value, and every pair of values of the axes within each list.

    What is excluded is in none of them; values and pairs that only occur there are left out.

    Args:
        axes: the values of each axis, at least one.
        pairs: lists of axes.
        excluded: values by axis; what has one of them for each axis is excluded.
        apart: axes of whose values as few distinct combinations as possible are taken.
    """
    array = _Array(axes, excluded)
    if not apart:
        return array.make(pairs)
    # Three arrays, each of what the one before leaves: the fewest combinations of these axes, all
    # pairs that they can hold, and then the pairs that need another one.
    within = [[axis for axis in part if axis in apart] for part in pairs]
    first = array.make([part for part in within if len(part) > 1])
    taken = {tuple(row[axis] for axis in apart) for row in first}
    known = {
        "operator": "fn",
        "requires": list(apart),
        "evaluate": lambda row: tuple(row[axis] for axis in apart) in taken,
    }
    second = array.make(pairs, constraints=[known])
    return array.make(pairs, presets=second)


def excluding(excluded: Sequence[Mapping[str, Sequence[str]]]) -> Callable[[Row], int | None]:
    """A function that tells which entry excludes a combination: its number, or None."""
    sets = [{axis: frozenset(values) for axis, values in entry.items()} for entry in excluded]

    def number(row: Row) -> int | None:
        for found, entry in enumerate(sets):
            if all(row[axis] in values for axis, values in entry.items()):
                return found
        return None

    return number


class _Array:
    """Covering arrays over the same axes."""

    def __init__(
        self, axes: Mapping[str, Sequence[str]], excluded: Sequence[Mapping[str, Sequence[str]]]
    ) -> None:
        self._axes = {axis: list(values) for axis, values in axes.items()}
        self._excluded = [
            {
                "operator": "not",
                "condition": {
                    "operator": "and",
                    "conditions": [
                        {"operator": "in", "left": axis, "values": list(values)}
                        for axis, values in entry.items()
                    ],
                },
            }
            for entry in excluded
        ]
        # Where any value will do, the one that is least often excluded leaves most pairs possible.
        counts = Counter(
            (axis, value)
            for entry in excluded
            for axis, values in entry.items()
            for value in values
        )
        self._weights = {
            axis: {number: -counts[axis, value] for number, value in enumerate(values)}
            for axis, values in self._axes.items()
        }

    def make(
        self,
        pairs: Sequence[Sequence[str]],
        constraints: Sequence[Mapping[str, Any]] = (),
        presets: Sequence[Row] = (),
    ) -> list[Row]:
        found: list[Row] = covertable.make(
            self._axes,
            strength=1,
            sub_models=[{"fields": list(part), "strength": 2} for part in pairs],
            constraints=[*self._excluded, *constraints],
            presets=list(presets),
            weights=self._weights,
            salt=_SALT,
        )
        return found
