"""Tolerances: how far numbers may differ that are meant to be equal, and how far they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """Numbers are equal when they differ by at most absolute + relative · |expected|."""

    absolute: float = 0.0
    relative: float = 0.0

    def __str__(self) -> str:
        relative = f" + {self.relative:g}·|expected|" if self.relative else ""
        return f"{self.absolute:g}{relative}"

    def exceeded(self, value: float, expected: float) -> bool:
        """Whether the two differ by more."""
        return abs(value - expected) > self.absolute + self.relative * abs(expected)

    def compare(self, values: Sequence[float], expected: Sequence[float]) -> tuple[float, int]:
        """The largest difference of numbers of equal count, and how many differ by more."""
        pairs = list(zip(values, expected, strict=True))
        largest = max((abs(a - b) for a, b in pairs), default=0.0)
        return largest, sum(self.exceeded(a, b) for a, b in pairs)


EXACT = Tolerance()
