"""Needles: what a line that says something must hold, found fast in a block of lines.

A fixed text is found by bytes.find, which is the faster the longer it is; a pattern must start
with a fixed text, which `re` looks for first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.base.text import bounded
from harness.record.fields import TEXT_LIMIT

Needle = bytes | re.Pattern[bytes]


def positions(needle: Needle, text: bytes) -> Iterator[int]:
    """Where a needle is found; only its first place on each line."""
    position = _first(needle, text, 0)
    while position >= 0:
        yield position
        end = text.find(b"\n", position)
        if end < 0:
            return
        position = _first(needle, text, end)


def count(needle: Needle, text: bytes) -> int:
    """How often a needle is found."""
    if isinstance(needle, bytes):
        return text.count(needle)
    return sum(1 for _ in needle.finditer(text))


def _first(needle: Needle, text: bytes, start: int) -> int:
    if isinstance(needle, bytes):
        return text.find(needle, start)
    match = needle.search(text, start)
    return match.start() if match else -1


def spans(needles: Iterable[Needle], flat: bytes) -> list[tuple[int, int]]:
    """Start and end of the lines that hold a needle, in order."""
    found: dict[int, int] = {}
    for needle in needles:
        for position in positions(needle, flat):
            end = flat.find(b"\n", position)
            found[flat.rfind(b"\n", 0, position) + 1] = end if end >= 0 else len(flat)
    return sorted(found.items())


def around(match: re.Match[bytes]) -> str:
    """The line of a match as a report may show it: all of it, or what stands around the match."""
    line = match.string
    if len(line) <= TEXT_LIMIT:
        return bounded(line)
    return bounded(line[max(0, match.start() - TEXT_LIMIT // 2) : match.end() + TEXT_LIMIT // 4])
