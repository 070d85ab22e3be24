"""Tracebacks, which span lines: where one starts, which exception ends it, whether it counts."""

from __future__ import annotations

from harness.logs.grammar import python
from harness.logs.kept import Kept
from harness.record.facts import Problem

LINES_LIMIT = 2_000  # from the header of a traceback to its exception


class Tracebacks:
    """The traceback that is open, across blocks.

    Attributes:
        caught: offsets in the block of exceptions that were caught.
    """

    def __init__(self, kept: Kept) -> None:
        self.caught: set[int] = set()
        self._kept = kept
        self._open: Problem | None = None  # one whose exception has not come yet
        self._lines = 0
        self._counts = False  # the last one is a problem: nobody caught it

    @property
    def is_open(self) -> bool:
        """Whether the exception of a traceback has not come yet."""
        return self._open is not None

    def block(self, flat: bytes) -> None:
        """A block begins."""
        self.caught.clear()
        if self._open is not None:
            self._find_exception(flat, 0)

    def header(self, flat: bytes, start: int, end: int, before: bytes, number: int) -> None:
        """A line that holds the words of a traceback's header.

        Args:
            flat: the block; the line is from `start` to `end`.
            before: the end of what stands before the line.
            number: of the line.
        """
        if not python.traceback_header(flat[start:end]):
            return
        self.close(None)
        # Python chains with a blank line between, a logger puts the traceback right below.
        if python.chained(_last_line(before.rstrip(b"\n"))):
            found = self._kept.retract("traceback") if self._counts else None
            if found:
                # One failure, reported where it began with the exception that ended it.
                number = found.line
        else:
            self._counts = not python.caught(_last_line(before.removesuffix(b"\n")))
        text = "a traceback without an exception"
        self._open = Problem(kind="traceback", line=number, text=text)
        self._lines = LINES_LIMIT
        self._find_exception(flat, end + 1)

    def close(self, exception: str | None) -> None:
        """The traceback that is open ends, with its exception or without one."""
        if self._open is not None and self._counts:
            text = {"text": exception} if exception else {}
            self._kept.problem(self._open.model_copy(update=text))
        self._open = None

    def _find_exception(self, flat: bytes, start: int) -> None:
        """Looks for the exception that ends the open traceback: the first line not indented."""
        while start < len(flat):
            end = flat.find(b"\n", start)
            end = len(flat) if end < 0 else end
            if flat[start : start + 1] not in (b" ", b"\t", b"\n"):
                line = flat[start:end]
                exception = python.exception(line)
                if exception is not None and not self._counts:
                    self.caught.add(start)
                if exception is not None or python.TRACEBACK in line:
                    self.close(exception)
                    return
            self._lines -= 1
            if self._lines == 0:
                self.close(None)
                return
            start = end + 1


def _last_line(text: bytes) -> bytes:
    return text[text.rfind(b"\n") + 1 :]
