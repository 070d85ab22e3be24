"""Tracebacks, which span lines: where one starts, which exception ends it, who has handled it.

- Python itself says of some that it ignored them, or that they ended a thread.
- One whose outermost frame is not the module itself was caught by the function that it starts at:
  reported by a logger at WARNING or below it never counts, else it counts unless progress or an end
  follows.
- One that starts at the module counts unless progress and an end follow: a line of a logger above
  it may be there by chance. An end is enough if the line is there.
- A chain of exceptions ("During handling of the above exception ...") is one problem, named by the
  last of them. What an exception says in further lines shares its fate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.logs import transport
from harness.logs.grammar import python, vocabulary
from harness.logs.grammar.loggers import Level
from harness.logs.grammar.needles import needles
from harness.logs.grammar.python import Form, Origin
from harness.logs.grammar.vocabulary import Unless
from harness.logs.handled import Open, OpenProblems
from harness.record.facts import Problem

LINES_LIMIT = 2_000  # from the header of a traceback to its exception
_FRESH = needles(*vocabulary.FRESH)
# Below its frames: the exception cannot be told, or something has eaten it.
_OVER = needles(*vocabulary.PROGRESS, *vocabulary.COMPLETION)
_TAIL = 1 << 14  # bytes that an exception may go on for
_RANK = re.compile(rb"\[rank\d+\]:")  # torch prints it when nobody has caught the exception
_NO_EXCEPTION = "a traceback without an exception"


@dataclass
class _Reading:
    """A traceback whose exception has not come yet."""

    entry: Open
    form: Form
    name: bytes
    told: Level | None
    ignored: bool
    unhandled: bool
    lines: int = LINES_LIMIT
    origin: Origin | None = None


class Tracebacks:
    """The traceback that is open, across blocks."""

    def __init__(self, open_problems: OpenProblems) -> None:
        self._open = open_problems
        self._reading: _Reading | None = None
        self._last: _Reading | None = None  # the latest that was read to its end
        self._tail = False  # what comes may be more of its exception,
        self._tail_start = 0  # from here on in the block

    @property
    def is_open(self) -> bool:
        """Whether the exception of a traceback has not come yet, or may go on."""
        return self._reading is not None or self._tail

    def next_block(self, flat: bytes) -> None:
        """Another block begins."""
        self._tail_start = 0
        if self._last is not None:
            self._last.entry.offset = 0
        if self._reading is not None:
            self._reading.entry.offset = 0
            self._read(flat, 0)

    def end_block(self, flat: bytes) -> None:
        """A block has been read to its end."""
        if self._tail:
            self.owner(flat, len(flat))

    def header(
        self, flat: bytes, span: tuple[int, int], before: bytes, line: bytes, number: int
    ) -> bool:
        """A line that holds the words of a traceback's header.

        Args:
            flat: the block.
            span: the line in it, from its start to its end.
            before: the end of what stands before the line.
            line: it, as it is in the log.
            number: of the line.

        Returns:
            whether it is one.
        """
        label, text = transport.stripped(line)
        found = python.header(text)
        if found is None:
            return False
        form, front = found
        self.close(None, flat, span[0])
        entry = Open(Problem(kind="traceback", line=number, text=_NO_EXCEPTION), Unless.BOTH, label)
        # Python chains with a blank line between, a logger puts the traceback right below.
        above = _last_line(before.rstrip())
        last = self._last
        if last is not None and python.chained(above):
            # One failure, reported where it began with the exception that ended it.
            self._open.retract(last.entry)
            problem = entry.problem.model_copy(update={"line": last.entry.problem.line})
            entry.problem, entry.more = problem, last.entry.more
            told, ignored, unhandled = last.told, last.ignored, last.unhandled
        else:
            name = front if form is Form.IPYTHON else b""
            above = _last_line(before.removesuffix(b"\n"))
            ignored, unhandled = python.ignored(above), python.unhandled(above)
            told = python.teller(b"" if name else front, above)
        name = front if form is Form.IPYTHON else b""
        self._reading = _Reading(entry, form, name, told, ignored, unhandled)
        self._read(flat, span[1] + 1)
        return True

    def owner(self, flat: bytes, position: int) -> Open | None:
        """The exception that a line at this place belongs to, if it belongs to one."""
        if self._reading is not None:
            return self._reading.entry
        if not self._tail or self._last is None:
            return None
        if position <= self._tail_start:
            return self._last.entry
        fresh = _FRESH.find(flat[self._tail_start : position])
        if fresh >= 0 or position - self._tail_start > _TAIL:
            self._tail = False
            return None
        return self._last.entry

    def close(self, exception: str | None, flat: bytes, offset: int) -> None:
        """The traceback that is open ends here, with its exception or without one."""
        reading = self._reading
        if reading is None:
            return
        self._reading, self._last = None, reading
        self._tail, self._tail_start = exception is not None, offset
        entry = reading.entry
        entry.offset = offset
        final = reading.unhandled or reading.origin is Origin.THREAD
        within = reading.origin is Origin.WITHIN
        final = final or (not within and _RANK.fullmatch(entry.label) is not None)
        update = {"text": exception or entry.problem.text, "final": final}
        entry.problem = entry.problem.model_copy(update=update)
        if reading.ignored or (
            within and reading.told is not None and reading.told <= Level.WARNING
        ):
            self._open.handled(entry)
            return
        entry.unless = Unless.BOTH
        if final:
            entry.unless = Unless.NOTHING
        elif within:
            entry.unless = Unless.PROGRESS
        elif reading.told is not None:
            entry.unless = Unless.END
        self._open.add(entry, flat)

    def _read(self, flat: bytes, start: int) -> None:
        """Looks for the exception that ends the open traceback: the first line not indented."""
        reading = self._reading
        while reading is not None and start < len(flat):
            end = flat.find(b"\n", start)
            end = len(flat) if end < 0 else end
            if flat[start : start + 1] != b"\n":
                label, text = transport.stripped(flat[start:end])
                if label == reading.entry.label or not reading.entry.label:
                    if reading.origin is None:
                        reading.origin = python.origin(text)
                    if self._ends(reading, text, flat, start, end):
                        return
            reading.lines -= 1
            if reading.lines == 0:
                self.close(None, flat, end)
                return
            start = end + 1

    def _ends(self, reading: _Reading, text: bytes, flat: bytes, start: int, end: int) -> bool:
        if reading.form is Form.BOXED:
            text = text.strip()  # a handler of rich indents the exception like the box
        if reading.form is not Form.GROUP and text[:1] in (b" ", b"\t", b""):
            return False
        over = reading.origin is not None and not python.lonely(text) and _OVER.find(text) >= 0
        exception = None if over else python.exception(text, reading.form, reading.name)
        if exception is None and not over and python.TRACEBACK not in text:
            return False
        self.close(exception, flat, end if exception else start)
        return True


def _last_line(text: bytes) -> bytes:
    return transport.stripped(text[text.rfind(b"\n") + 1 :])[1]
