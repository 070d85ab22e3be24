"""The log parser: a stream of bytes in, `LogFacts` out, in constant memory.

A log is hostile input: any byte, lines of any length, any number of facts. Nothing in it raises.
What a line can say is known to `logs.markers` (marker lines) and `logs.grammar` (lines of every
other program); this module finds those lines, fast, and hands on what they say.

Line N of the facts is what `cat stdout.log stderr.log | sed -n Np` prints, for the sources in the
order given.
"""

from __future__ import annotations

from harness.base.text import bounded
from harness.logs import lines, markers
from harness.logs.grammar import keras, needles, python, tensorflow, tflms, vocabulary
from harness.logs.kept import SAME_LIMIT, Kept
from harness.logs.lines import Lines, Source
from harness.logs.tracebacks import Tracebacks
from harness.record.facts import Edit, LogFacts, Problem

MARKERS_LIMIT = 100_000  # markers that are decoded
_CONTEXT = 4096  # bytes before a line that are looked at


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
        self._tracebacks = Tracebacks(self._kept)
        self._newlines = 0  # in all blocks so far
        self._before = b""  # the end of what was before the block
        self._markers = 0
        self._swapped_v1: int | None = None

    def facts(self) -> LogFacts:
        cut = self._lines.cut
        return self._kept.facts(
            self._newlines + (not self._lines.ended),
            self._lines.bytes,
            self._markers,
            [f"{cut} lines of the log are longer than {lines.LINE_LIMIT} bytes: cut"]
            if cut
            else [],
        )

    def source(self, source: Source) -> None:
        self._before = b""
        for block in self._lines.blocks(source):
            self._block(block)
        self._tracebacks.close(None)

    def _block(self, block: bytes) -> None:
        sought = self._sought(block)
        hit = any(next(needles.positions(needle, block), -1) >= 0 for needle in sought)
        if hit or self._tracebacks.is_open:
            # A carriage return ends what is looked at, but only a newline counts as a line.
            flat = block.replace(b"\r", b"\n")
            self._tracebacks.block(flat)
            number, counted = self._newlines + 1, 0
            for start, end in needles.spans(sought, flat):
                number += block.count(b"\n", counted, start)
                counted = start
                self._line(flat, start, end, number)
        self._newlines += block.count(b"\n")
        self._before = (self._before + block[-_CONTEXT:].replace(b"\r", b"\n"))[-_CONTEXT:]

    def _sought(self, block: bytes) -> list[needles.Needle]:
        """What to look for; a kind of which enough is kept is only counted."""
        sought = [markers.PREFIX, *vocabulary.NEEDLES]
        if self._markers >= MARKERS_LIMIT:
            sought.remove(markers.PREFIX)
            self._skip_markers(block)
        if not self._kept.metrics and len(self._kept.printed) < SAME_LIMIT:
            sought += vocabulary.METRIC_NEEDLES
        for kind, words in vocabulary.COUNTED:
            if not self._kept.full(kind):
                sought += (word for word in words if word not in sought)
            else:
                self._kept.dropped += sum(needles.count(word, block) for word in words)
        return sought

    def _skip_markers(self, block: bytes) -> None:
        """Beyond the limit only counts markers, and looks whether the last one is `done`."""
        count = block.count(markers.PREFIX)
        self._markers += count
        self._kept.dropped += count
        if count:
            last = block[block.rfind(markers.PREFIX) + len(markers.PREFIX) :].split(b"\n", 1)[0]
            try:
                fact, _ = markers.fact(last, 0)
            except markers.MalformedError:
                return
            self._kept.done = self._kept.done or isinstance(fact, markers.Done)

    def _line(self, flat: bytes, start: int, end: int, number: int) -> None:
        line = flat[start:end]
        if markers.PREFIX in line:
            for text in markers.markers(line):
                self._marker(text, number)
            # The rest of the line is the marker's text, not a line of anybody else.
            line = line[: line.index(markers.PREFIX)]
        if python.TRACEBACK in line:
            before = (self._before + flat[max(0, start - _CONTEXT) : start])[-_CONTEXT:]
            self._tracebacks.header(flat, start, end, before, number)
        if tensorflow.MUTATED in line:
            for mutation in tensorflow.mutations(line, number):
                self._kept.mutation(mutation)
        if b"LMS" in line or b"Large Model Support" in line:
            self._lms(line, number)
        if start not in self._tracebacks.caught:
            for problem in vocabulary.problems(line, number):
                self._kept.problem(problem)
        metric = keras.metric(line, number)
        if metric is not None:
            self._kept.metric(metric)

    def _marker(self, text: bytes, number: int) -> None:
        self._markers += 1
        if self._markers > MARKERS_LIMIT and b'"done"' not in text:
            self._kept.dropped += 1
            return
        try:
            fact, problem = markers.fact(text, number)
        except markers.MalformedError as reason:
            shown = f"{reason}: {bounded(text, 300)}"
            self._kept.problem(Problem(kind="malformed_marker", line=number, text=shown))
            return
        if problem is not None:
            self._kept.problem(Problem(kind="nan_loss", line=number, text=problem))
        self._kept.fact(fact)

    def _lms(self, line: bytes, number: int) -> None:
        edit = tflms.edit(line, number)
        if edit is not None:
            self._kept.edit(edit)
        self._lms_v1(line, number)
        milliseconds = tflms.took(line)
        last = self._kept.edits[-1] if self._kept.edits else None
        if milliseconds is not None and last and last.milliseconds is None:
            self._kept.edits[-1] = last.model_copy(update={"milliseconds": milliseconds})
        kind = tflms.problem(line)
        if kind is not None:
            self._kept.problem(Problem(kind=kind, line=number, text=bounded(line)))
        note = tflms.note(line)
        if note is not None:
            self._kept.note(note)

    def _lms_v1(self, line: bytes, number: int) -> None:
        """TFLMS v1 says in two lines what v2 says in one; either may come first."""
        added, swapped = tflms.edit_v1(line)
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
