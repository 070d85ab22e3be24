"""Verdicts on whether swapping happened, and what is said of peaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.base.text import mib
from harness.record.checks import Number

Word = Literal["confirmed", "refuted", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """What one meter says.

    Attributes:
        message: the numbers that it rests on, in words.
        numbers: the same for machines, sizes in bytes.
        lines: number and text of the log lines that it rests on.
    """

    word: Word
    message: str
    numbers: Mapping[str, Number]
    lines: tuple[tuple[int, str], ...] = ()


def peaks(swapped: int | None, control: int | None) -> str:
    """Two peaks and what was saved."""
    words = f"peak {mib(swapped)}, control {mib(control)}"
    if swapped is not None and control:
        saved = control - swapped
        words += f", saved {mib(saved)} ({100 * saved / control:.1f} %)"
    return words
