"""Whether what went wrong was handled: what comes after it says so.

Progress is what a training loop prints as it goes on; an end is what a script prints when it has
done its work. Output that was buffered may come behind the traceback of an exception that ended
the program, so for what looks like that both are asked for, and the end may not be that of a
program started later: the lines with which TensorFlow starts must not come again in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.logs import transport
from harness.logs.grammar import vocabulary
from harness.logs.grammar.needles import Needles, needles
from harness.logs.grammar.vocabulary import Unless
from harness.logs.kept import Kept
from harness.record.facts import Problem

OPEN_LIMIT = 400  # problems that wait for what comes after them
MORE_LIMIT = 8  # problems in what one exception says
_TRIES = 64  # lines that are looked at for one of the same rank

_PROGRESS = needles(*vocabulary.PROGRESS)
_END = needles(*vocabulary.COMPLETION)
_START = needles(*vocabulary.START_NEEDLES)


@dataclass(eq=False)
class Open:
    """A problem that waits for what comes after it.

    Attributes:
        label: of the rank, container or host that it is about; empty for any.
        offset: in the block, where what comes after it begins.
        more: problems that are told in the same breath, and share its fate.
        restarts: programs had started before; another start means that this one had ended.
    """

    problem: Problem
    unless: Unless
    label: bytes = b""
    offset: int = 0
    more: list[Problem] = field(default_factory=list)
    restarts: bool = False
    progressed: bool = False
    state: str = "open"  # or "counts", "handled"


class OpenProblems:
    """The problems that wait, in order.

    Attributes:
        started: a program has started.
    """

    def __init__(self, kept: Kept) -> None:
        self.started = False
        self._kept = kept
        self._open: list[Open] = []
        self._unsettled: list[Open] = []  # of sources that have ended

    def add(self, entry: Open, flat: bytes) -> None:
        """A problem; `flat` is its block."""
        if entry.unless is Unless.NOTHING:
            self._counts(entry)
            return
        entry.restarts = self.started
        self._open.append(entry)
        if len(self._open) > OPEN_LIMIT:
            self.settle(flat)
            if len(self._open) > OPEN_LIMIT // 2:
                for old in self._open[: OPEN_LIMIT // 2]:
                    self._counts(old)
                del self._open[: OPEN_LIMIT // 2]

    def attach(self, entry: Open, problem: Problem) -> None:
        """A problem that is told in the same breath as another one."""
        if entry.state == "counts":
            self._kept.problem(problem)
        elif entry.state == "handled":
            self._kept.handled(problem)
        elif len(entry.more) < MORE_LIMIT:
            entry.more.append(problem)

    def handled(self, entry: Open) -> None:
        """A problem that does not count."""
        entry.state = "handled"
        for problem in (entry.problem, *entry.more):
            self._kept.handled(problem)

    def retract(self, entry: Open) -> None:
        """A problem that turns out to be a piece of the next one."""
        if entry in self._open:
            self._open.remove(entry)
        elif entry.state == "counts":
            self._kept.retract(entry.problem)

    def settle(self, flat: bytes) -> None:
        """Looks for what comes after the problems in a block that has been read to its end."""
        if not self._open:
            return
        after = _After(flat)
        waiting = []
        for entry in self._open:
            verdict = self._verdict(entry, after)
            if verdict == "counts":
                self._counts(entry)
            elif verdict == "handled":
                self.handled(entry)
            else:
                waiting.append(entry)
        self._open = waiting

    def next_block(self) -> None:
        """Another block begins."""
        for entry in self._open:
            entry.offset = 0

    def end_source(self) -> None:
        """The end of a source: nothing comes after."""
        for entry in self._open:
            if len(self._unsettled) < OPEN_LIMIT:
                self._unsettled.append(entry)
            else:
                self._counts(entry)
        self._open = []

    def finish(self) -> None:
        """The end of the log: a script that said `done` has handled what can be handled."""
        for entry in self._unsettled:
            if self._kept.done and entry.unless in (Unless.PROGRESS, Unless.END):
                self.handled(entry)
            else:
                self._counts(entry)
        self._unsettled = []

    def _counts(self, entry: Open) -> None:
        entry.state = "counts"
        for problem in (entry.problem, *entry.more):
            self._kept.problem(problem)

    def _verdict(self, entry: Open, after: _After) -> str:
        start = entry.offset
        progress = after.progress.find(start, entry.label)
        entry.progressed = entry.progressed or progress >= 0
        if entry.unless is Unless.PROGRESS and progress >= 0:
            return "handled"
        end = after.end.find(start, entry.label)
        if entry.unless is Unless.BOTH and not entry.progressed:
            end = -1
        again = after.start.find(start, b"") if entry.restarts else -1
        if entry.unless is Unless.BOTH and again >= 0 and (end < 0 or again < end):
            return "counts"
        return "handled" if end >= 0 else "open"


class _After:
    """What is found behind a place in a block, looked for once."""

    def __init__(self, flat: bytes) -> None:
        self.progress = _Next(_PROGRESS, flat)
        self.end = _Next(_END, flat)
        self.start = _Next(_START, flat)


class _Next:
    """The next line of one kind."""

    def __init__(self, pattern: Needles, flat: bytes) -> None:
        self._pattern = pattern
        self._flat = flat
        self._from = self._found = -1

    def find(self, start: int, label: bytes) -> int:
        """Where the next one after `start` is, of the same label; -1 if there is none."""
        position = self._find(start)
        for _ in range(_TRIES if label else 0):
            if position < 0 or self._label(position) == label:
                break
            end = self._flat.find(b"\n", position)
            position = self._pattern.find(self._flat, end) if end >= 0 else -1
        else:
            return -1 if label else position
        return position

    def _find(self, start: int) -> int:
        known = self._from >= 0 and start >= self._from
        if not (known and (self._found < 0 or self._found >= start)):
            self._from, self._found = start, self._pattern.find(self._flat, start)
        return self._found

    def _label(self, position: int) -> bytes:
        start = self._flat.rfind(b"\n", 0, position) + 1
        return transport.stripped(self._flat[start : start + 400].split(b"\n", 1)[0])[0]
