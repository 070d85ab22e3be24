"""Needles: what a line that says something holds, looked for in a block of lines at once.

RE2 looks for all needles of all grammars in one pass whose cost does not depend on their number,
and takes time linear in the text whatever the text is: `re` and bytes.find do neither.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

import re2

from harness.base.text import bounded
from harness.record.fields import TEXT_LIMIT

_FEW = 500  # lines that are looked for one by one
Needle = bytes  # a pattern in the syntax of RE2: no look-around, no reference


class Needles:
    """Several needles as one pattern."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1  # a log may hold any byte
        options.max_mem = 16 << 20
        options.log_errors = False
        pattern = b"(?m)" + b"|".join(b"(?:%b)" % needle for needle in needles)
        self._pattern = re2.compile(pattern, options)

    def find(self, text: bytes, start: int = 0) -> int:
        """Where the first one is found, -1 if none is."""
        match = self._pattern.search(text, start)
        return match.start() if match else -1

    def lines(self, flat: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
        """Start and end of the lines that hold one, in order."""
        position = self.find(flat, start)
        while position >= 0:
            end = flat.find(b"\n", position)
            end = end if end >= 0 else len(flat)
            yield flat.rfind(b"\n", 0, position) + 1, end
            position = self.find(flat, end) if end < len(flat) else -1

    def count(self, flat: bytes, start: int = 0) -> int:
        """How many lines hold one."""
        found = list(islice(self.lines(flat, start), _FEW))
        if len(found) < _FEW:
            return len(found)
        # A flood repeats itself.
        lines = Counter(flat[start:].split(b"\n"))
        return sum(count for line, count in lines.items() if self.find(line) >= 0)


@lru_cache(maxsize=64)
def needles(*patterns: Needle) -> Needles:
    """The needles of these patterns, made once."""
    return Needles(patterns)


def around(match: re.Match[bytes]) -> str:
    """The line of a match as a report may show it: all of it, or what stands around the match."""
    line = match.string
    if len(line) <= TEXT_LIMIT:
        return bounded(line)
    return bounded(line[max(0, match.start() - TEXT_LIMIT // 2) : match.end() + TEXT_LIMIT // 4])
