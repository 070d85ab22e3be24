"""The log parser: a stream of bytes in, `LogFacts` out, in constant memory.

A log is hostile input: any byte, lines of any length, any number of facts. Nothing in it raises.
What a line can say is known to `logs.markers` (marker lines) and `logs.grammar` (lines of every
other program); this module finds those lines, fast, and hands on what they say.

Line N of the facts is what `cat stdout.log stderr.log | sed -n Np` prints, for the sources in the
order given, once they are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.base.text import bounded, without_terminal
from harness.logs import markers, transport
from harness.logs.grammar import keras, python, swapping, tensorflow, vocabulary
from harness.logs.grammar.needles import Needles, needles
from harness.logs.grammar.vocabulary import Unless
from harness.logs.handled import Open, OpenProblems
from harness.logs.kept import SAME_LIMIT, Kept
from harness.logs.lines import Lines, Source
from harness.logs.tracebacks import Tracebacks
from harness.record.facts import Edit, LogFacts, Offloading, Problem

MARKERS_LIMIT = 100_000  # markers that are decoded
_CONTEXT = 4096  # bytes before a line that are looked at
_RESCAN = 1_000  # lines that say something, after which what to look for is decided anew
_HELD_LIMIT = 1 << 16  # bytes of a wrapped line that wait for the next block


def parse(*sources: Source) -> LogFacts:
    """Reads everything that a phase's log says.

    Args:
        sources: paths, open binary files, or iterables of bytes (cut anywhere), standard output
            first. Line numbers go on from one to the next.

    Raises:
        OSError: a source cannot be read. What it holds never raises.
    """
    parser = _Parser()
    for source in sources:
        parser.source(source)
    return parser.facts()


class _Parser:
    """State between blocks of lines."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._kept = Kept()
        self._open = OpenProblems(self._kept)
        self._tracebacks = Tracebacks(self._open)
        self._newlines = 0  # in all blocks so far
        self._before = b""  # the end of what was before the block
        self._held = b""  # the start of a wrapped line, which may go on in the next block
        self._markers = 0
        self._counted: set[str | bytes] = set()  # what is only counted in this block
        self._table: keras.Table | None = None  # the latest head of a table
        self._mutated = ("", "")  # the latest mutation: its form, its operation
        self._swapped_v1: int | None = None

    def facts(self) -> LogFacts:
        self._open.finish()
        return self._kept.facts(self._markers, self._lines)

    def source(self, source: Source) -> None:
        self._before = b""
        for block in self._lines.blocks(source):
            self._block(block, last=False)
        if self._held:
            self._block(b"", last=True)
        self._tracebacks.close(None, b"", 0)
        self._open.end_source()

    # --- from blocks to lines that say something -----------------------------------------------

    def _block(self, block: bytes, last: bool) -> None:
        block, self._held = self._held + without_terminal(block), b""
        # A carriage return ends what is looked at, but only a newline counts as a line.
        flat = block.replace(b"\r", b"\n")
        self._open.next_block()
        self._tracebacks.next_block(flat)
        stop = self._hits(block, flat, last)
        self._held = block[stop:]
        block, flat = block[:stop], flat[:stop]
        self._tracebacks.end_block(flat)
        self._open.settle(flat)
        self._newlines += block.count(b"\n")
        self._before = (self._before + flat[-_CONTEXT:])[-_CONTEXT:]

    def _hits(self, block: bytes, flat: bytes, last: bool) -> int:
        """Hands on the lines that say something; returns where a line begins that has to wait."""
        number, counted, done = self._newlines + 1, 0, 0
        position: int | None = 0
        head = self._table
        self._counted.clear()
        while position is not None:
            sought = self._sought(flat, position)
            position = None
            for hits, (start, end) in enumerate(sought.lines(flat, done)):
                if start < done:
                    continue
                number += block.count(b"\n", counted, start)
                counted = start
                line, until = _unwrapped(flat, start, end)
                waits = line is None and until == len(flat) and not last
                if waits and len(flat) - start < _HELD_LIMIT:
                    return start
                self._line(flat, start, end, flat[start:end] if line is None else line, number)
                done = end if line is None else until
                # A kind of which enough is kept need not be looked for; below a table's head a row.
                if hits >= _RESCAN or head is not self._table:
                    position, head = done, self._table
                    break
        return len(flat)

    def _sought(self, flat: bytes, start: int) -> Needles:
        """What to look for; a kind of which enough is kept is only counted."""
        sought = [markers.PREFIX, *vocabulary.NEEDLES]
        if self._table is not None:
            sought += keras.ROW_NEEDLES
        if self._markers >= MARKERS_LIMIT:
            sought.remove(markers.PREFIX)
            self._skip_markers(flat, start)
        if not self._open.started:
            sought += vocabulary.START_NEEDLES
        if not self._kept.metrics and len(self._kept.printed) < SAME_LIMIT:
            sought += vocabulary.METRIC_NEEDLES
        for kind, words in vocabulary.COUNTED.items():
            if not self._kept.full(kind):
                sought += words
            elif kind not in self._counted:
                self._counted.add(kind)
                self._kept.dropped += needles(*words).count(flat, start)
        return needles(*sought)

    def _skip_markers(self, flat: bytes, start: int) -> None:
        """Beyond the limit only counts markers, and looks whether the last one is `done`."""
        if markers.PREFIX in self._counted:
            return
        self._counted.add(markers.PREFIX)
        count = flat.count(markers.PREFIX, start)
        self._markers += count
        self._kept.dropped += count
        if count:
            last = flat[flat.rfind(markers.PREFIX) + len(markers.PREFIX) :].split(b"\n", 1)[0]
            try:
                fact = markers.fact(last, 0).fact
            except markers.MalformedError:
                return
            self._kept.done = self._kept.done or isinstance(fact, markers.Done)

    def _line(self, flat: bytes, start: int, end: int, line: bytes, number: int) -> None:
        if markers.PREFIX in line:
            for text in markers.markers(line):
                self._marker(text, number)
            # The rest of the line is the marker's text, not a line of anybody else.
            line = line[: line.index(markers.PREFIX)]
            if not line.strip():
                return
        before = (self._before + flat[max(0, start - _CONTEXT) : start])[-_CONTEXT:]
        if python.TRACEBACK in line:
            self._tracebacks.header(flat, (start, end), before, line, number)
        if tensorflow.finished(line) or tensorflow.ended(line):
            self._mutations(before, line, number)
        if b"LMS" in line or b"Large Model Support" in line or b"eclaim" in line:
            self._lms(line, number)
        self._offloading(line, number)
        self._problems(flat, (start, end), line, number)
        self._losses(transport.stripped(line)[1], number)
        metric = keras.metric(transport.stripped(line)[1], number)
        if metric is not None:
            self._kept.metric(metric)
        if not self._open.started:
            self._open.started = _START.find(line) >= 0

    def _losses(self, text: bytes, number: int) -> None:
        """Losses in a table, whose head names them."""
        if self._table is not None and keras.lost_in_row(text, self._table):
            row = Problem(kind="nan_loss", line=number, text=bounded(text), final=True)
            self._kept.problem(row)
        elif b"loss" in text.lower():
            self._table = keras.table(text) or self._table

    def _mutations(self, before: bytes, line: bytes, number: int) -> None:
        known = tensorflow.ended(line)  # perhaps, if a wrap has cut it in two
        for mutation in tensorflow.mutations(tensorflow.begun(before, line), number):
            said = (mutation.form, mutation.operation)
            if not known or said != self._mutated:
                self._kept.mutation(mutation)
            self._mutated = said

    def _problems(self, flat: bytes, span: tuple[int, int], line: bytes, number: int) -> None:
        if _PROBLEMS.find(line) < 0:
            return
        label, text = transport.stripped(line)
        owner = self._tracebacks.owner(flat, span[0])
        found = list(vocabulary.problems(line, text, number))
        for problem, unless in found:
            if owner is not None and unless is not Unless.NOTHING:
                self._open.attach(owner, problem)
            else:
                self._open.add(Open(problem, unless, label, span[1]), flat)
        if owner is None and not found and python.lonely(text):
            problem = Problem(kind="traceback", line=number, text=bounded(text))
            self._open.add(Open(problem, Unless.PROGRESS, label, span[1]), flat)

    # --- markers --------------------------------------------------------------------------------

    def _marker(self, text: bytes, number: int) -> None:
        self._markers += 1
        if self._markers > MARKERS_LIMIT and b'"done"' not in text:
            self._kept.dropped += 1
            return
        try:
            fact, problem, moment = markers.fact(text, number)
        except markers.MalformedError as reason:
            shown = f"{reason}: {bounded(text, 300)}"
            self._kept.problem(Problem(kind="malformed_marker", line=number, text=shown))
            return
        if problem is not None:
            self._kept.problem(Problem(kind="nan_loss", line=number, text=problem, final=True))
        self._kept.fact(fact)
        if moment is not None:
            self._kept.moment(moment)

    # --- lines of LMS ---------------------------------------------------------------------------

    def _lms(self, line: bytes, number: int) -> None:
        statistics = swapping.statistics(line)
        if statistics:
            self._kept.statistics(statistics, number)
        if b"LMS" not in line and b"Large Model Support" not in line:
            return
        self._kept.lms_lines += 1
        edit = swapping.edit(line, number)
        if edit is not None:
            self._kept.edit(edit)
        self._lms_v1(line, number)
        milliseconds = swapping.took(line)
        last = self._kept.edits[-1] if self._kept.edits else None
        if milliseconds is not None and last and last.milliseconds is None:
            self._kept.edits[-1] = last.model_copy(update={"milliseconds": milliseconds})
        kind = swapping.problem(line)
        if kind is not None:
            self._kept.problem(Problem(kind=kind, line=number, text=bounded(line)))
        note = swapping.note(line)
        if note is not None:
            self._kept.note(note)

    def _offloading(self, line: bytes, number: int) -> None:
        """What a provider of ours, or a library that offloads, says beside TFLMS."""
        edit = swapping.step(line, number)
        if edit is not None:
            self._kept.edit(edit)
        if swapping.off(line):
            self._kept.problem(Problem(kind="lms_off", line=number, text=bounded(line)))
        name = swapping.library(line)
        if name is not None and self._kept.offloading is None:
            self._kept.offloading = Offloading(library=name, line=number)

    def _lms_v1(self, line: bytes, number: int) -> None:
        """TFLMS v1 says in two lines what v2 says in one; either may come first."""
        added, swapped = swapping.edit_v1(line)
        if swapped is not None:
            last = self._kept.edits[-1] if self._kept.edits else None
            if last and last.source == "native" and last.swap_out == 0:
                swaps = {"swap_out": swapped, "swap_in": swapped}
                self._kept.edits[-1] = last.model_copy(update=swaps)
            else:
                self._swapped_v1 = swapped
        if added is not None:
            swapped, self._swapped_v1 = self._swapped_v1 or 0, None
            edit = Edit(
                source="native",
                operations=added,
                swap_out=swapped,
                swap_in=swapped,
                line=number,
                text=bounded(line),
            )
            self._kept.edit(edit)


_PROBLEMS = needles(
    *(word for words in vocabulary.COUNTED.values() for word in words), *python.LONELY_NEEDLES
)
_START = needles(*vocabulary.START_NEEDLES)
# Whether a sentence goes on in the next line, in how many lines at most, and what starts another.
_WRAPS: tuple[tuple[Callable[[bytes], bool], int, re.Pattern[bytes]], ...] = (
    (tensorflow.unfinished, tensorflow.WRAPPED_LINES, tensorflow.STARTS_ANOTHER),
    (swapping.unfinished, swapping.WRAPPED_LINES, tensorflow.STARTS_ANOTHER),
)


def _unwrapped(flat: bytes, start: int, end: int) -> tuple[bytes | None, int]:
    """A sentence that goes on in the next lines, put together, and where it ends.

    None where the line stands for itself; with the end of the block where more of it may come.
    """
    line = flat[start:end]
    for unfinished, limit, starts in _WRAPS:
        if not unfinished(line):
            continue
        stop = end
        joined = [line, line]  # a terminal cuts anywhere, a person at a blank
        for _ in range(limit):
            if stop >= len(flat):
                return None, len(flat)
            begin = stop + 1
            stop = flat.find(b"\n", begin)
            stop = len(flat) if stop < 0 else stop
            piece = flat[begin:stop]
            if not piece or starts.match(piece):
                break
            joined = [joined[0] + piece, joined[1] + b" " + piece]
            for text in joined:
                if not unfinished(text):
                    return text, stop
    return None, end
