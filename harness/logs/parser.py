"""The log parser: a stream of bytes in, `LogFacts` out, in constant memory.

A log is hostile input: any byte, lines of any length, any number of facts. Nothing in it raises.
What a line can say is known to `logs.markers` (marker lines) and `logs.native` (lines of
TensorFlow, TFLMS and Python); this module finds those lines, fast, and keeps what they say.

Lines end at a newline. A carriage return starts a line over (progress bars), so that each state
of a progress bar is looked at on its own, but it is no line of its own: line N of the facts is
what `cat stdout.log stderr.log | sed -n Np` prints, for the sources in the order given.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from harness.logs import markers, native
from harness.record.facts import Claim, Digest, Edit, LogFacts, Metric, Mutation, Problem, Trace

Source = str | os.PathLike[str] | bytes | BinaryIO | Iterable[bytes]

CHUNK = 1 << 20  # bytes looked at in one go
LINE_LIMIT = 1 << 20  # bytes of a line that are kept, and of its end:
TAIL_LIMIT = 8 << 10
MARKERS_LIMIT = 100_000  # markers that are decoded
FACTS_LIMIT = 10_000  # metrics
EDITS_LIMIT = 1_000  # edits; traces; claims
SAME_LIMIT = 50  # mutations, and problems of one kind
DIGESTS_LIMIT = 8  # digests of one thing at one stage
NOTES_LIMIT = 100
TRACEBACK_LIMIT = 2_000  # lines from the header of a traceback to its exception

_NEEDLES: tuple[native.Needle, ...] = (
    markers.PREFIX,
    native.MUTATED,
    native.TRACEBACK,
    *native.LMS_NEEDLES,
)
_COUNTED = (  # once enough problems of a kind are kept, its words are only counted
    ("nan_loss", native.NAN_NEEDLES),
    ("out_of_memory", native.MEMORY_NEEDLES),
    ("cuda_error", native.CUDA_NEEDLES),
)
_GAP = b" [\0...] "  # for what is left out of a line; no JSON holds a NUL, so no cut marker is read


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
        parser.source(_chunks(source))
    return parser.facts()


def _chunks(source: Source) -> Iterator[bytes]:
    """Pieces of about CHUNK bytes, whatever the source."""
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    elif isinstance(source, bytes | bytearray | memoryview):
        for start in range(0, len(source), CHUNK):
            yield bytes(source[start : start + CHUNK])
    elif isinstance(source, Iterable) and not hasattr(source, "read"):
        gathered, size = [], 0
        for piece in source:
            gathered.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield from _chunks(b"".join(gathered))
                gathered, size = [], 0
        yield b"".join(gathered)
    else:
        while chunk := source.read(CHUNK):
            yield chunk


_FactT = TypeVar("_FactT")


class _Parser:
    """State between chunks; facts are kept within fixed bounds."""

    def __init__(self) -> None:
        self._bytes = 0
        self._newlines = 0  # in all blocks so far
        self._ended = True  # the last byte was a newline
        self._carry: list[bytes] = []  # the start of a line that has not ended yet
        self._carried = 0  # bytes in it
        self._tail: bytes | None = None  # the end so far of a line that is too long
        self._cut = 0  # lines that were too long
        self._before = b""  # the end of what was before the block
        self._traceback: Problem | None = None  # one whose exception has not come yet
        self._traceback_lines = 0
        self._traceback_counts = False  # the last one is a problem: nobody caught it
        self._caught: set[int] = set()  # offsets in the block of exceptions that were caught
        self._dropped = 0
        self._markers = 0
        self._done = False
        self._edits: list[Edit] = []
        self._swapped_v1: int | None = None
        self._mutations: dict[bool, list[Mutation]] = {False: [], True: []}  # by harmless
        self._problems: dict[str, list[Problem]] = {}
        self._metrics: list[Metric] = []
        self._native_metrics: list[Metric] = []
        self._digests: dict[tuple[str, str], list[Digest]] = {}
        self._traces: list[Trace] = []
        self._claims: list[Claim] = []
        self._environment: dict[str, object] = {}
        self._notes: list[str] = []

    def facts(self) -> LogFacts:
        notes = self._notes
        if self._cut:
            notes = [
                *notes,
                f"{self._cut} lines of the log are longer than {LINE_LIMIT} bytes: cut",
            ]
        return LogFacts(
            lines=self._newlines + (not self._ended),
            bytes=self._bytes,
            markers=self._markers,
            edits=self._edits,
            mutations=_by_line(self._mutations.values()),
            problems=_by_line(self._problems.values()),
            metrics=self._metrics or self._native_metrics,
            digests=_by_line(self._digests.values()),
            traces=self._traces,
            claims=self._claims,
            environment=self._environment,
            notes=notes,
            done=self._done,
            dropped=self._dropped,
        )

    # --- from chunks to blocks of whole lines --------------------------------------------------

    def source(self, chunks: Iterable[bytes]) -> None:
        self._before = b""
        for chunk in chunks:
            if chunk:
                self._bytes += len(chunk)
                self._ended = chunk.endswith(b"\n")
                self._chunk(chunk)
        if self._tail is not None:
            self._long_line(b"")
        elif self._carried:
            self._flush()
        self._close_traceback(None)

    def _chunk(self, chunk: bytes) -> None:
        if self._carried:
            end = _first_end(chunk)
            self._extend(chunk if end < 0 else chunk[:end])
            if end < 0:
                return
            if self._tail is not None:
                self._long_line(chunk[end : end + 1])
            else:
                self._carry.append(chunk[end : end + 1])
                self._flush()
            chunk = chunk[end + 1 :]
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if end:
            self._block(chunk if end == len(chunk) else chunk[:end])
        if end < len(chunk):
            self._extend(chunk[end:])

    def _extend(self, piece: bytes) -> None:
        """Adds to a line that has not ended; beyond the limit only its latest end is kept."""
        self._carried += len(piece)
        if self._tail is not None:
            self._tail = (self._tail + piece)[-TAIL_LIMIT:]
            return
        self._carry.append(piece)
        if self._carried > LINE_LIMIT:
            line = b"".join(self._carry)
            self._carry, self._tail = [line[:LINE_LIMIT]], line[LINE_LIMIT:][-TAIL_LIMIT:]

    def _flush(self) -> None:
        line = b"".join(self._carry)
        self._carry, self._carried = [], 0
        self._block(line)

    def _long_line(self, end: bytes) -> None:
        head, tail = b"".join(self._carry), self._tail or b""
        self._carry, self._carried, self._tail = [], 0, None
        self._cut += 1
        self._block(head + _GAP + tail + end)

    # --- from blocks to lines that say something -----------------------------------------------

    def _block(self, block: bytes) -> None:
        needles = self._needles(block)
        hit = any(next(native.positions(needle, block), -1) >= 0 for needle in needles)
        if hit or self._traceback is not None:
            # A carriage return ends what is looked at, but only a newline counts as a line.
            flat = block.replace(b"\r", b"\n")
            self._caught.clear()
            if self._traceback is not None:
                self._find_exception(flat, 0)
            number, counted = self._newlines + 1, 0
            for start, end in _spans(needles, flat):
                number += block.count(b"\n", counted, start)
                counted = start
                self._line(flat, start, end, number)
        self._newlines += block.count(b"\n")
        self._before = (self._before + block[-4096:].replace(b"\r", b"\n"))[-4096:]

    def _needles(self, block: bytes) -> list[native.Needle]:
        """What to look for; a kind of which enough is kept is only counted."""
        needles = list(_NEEDLES)
        if self._markers >= MARKERS_LIMIT:
            needles.remove(markers.PREFIX)
            self._skip_markers(block)
        if not self._metrics and len(self._native_metrics) < SAME_LIMIT:
            needles += native.METRIC_NEEDLES
        for kind, words in _COUNTED:
            if len(self._problems.get(kind, ())) < SAME_LIMIT:
                needles += words
            else:
                self._dropped += sum(native.count(word, block) for word in words)
        return needles

    def _skip_markers(self, block: bytes) -> None:
        """Beyond the limit only counts markers, and looks whether the last one is `done`."""
        count = block.count(markers.PREFIX)
        self._markers += count
        self._dropped += count
        if count:
            last = block[block.rfind(markers.PREFIX) + len(markers.PREFIX) :].split(b"\n", 1)[0]
            try:
                fact, _ = markers.fact(last, 0)
            except markers.MalformedError:
                return
            self._done = self._done or isinstance(fact, markers.Done)

    def _line(self, flat: bytes, start: int, end: int, number: int) -> None:
        line = flat[start:end]
        if markers.PREFIX in line:
            for text in markers.markers(line):
                self._marker(text, number)
            # The rest of the line is the marker's text, not a line of anybody else.
            line = line[: line.index(markers.PREFIX)]
        if native.TRACEBACK in line:
            self._open_traceback(flat, start, end, line, number)
        if native.MUTATED in line:
            for mutation in native.mutations(line, number):
                self._keep(self._mutations[mutation.harmless], mutation, SAME_LIMIT)
        if b"LMS" in line or b"Large Model Support" in line:
            self._lms(line, number)
        if start not in self._caught:
            for problem in native.problems(line, number):
                self._problem(problem)
        metric = native.metric(line, number)
        if metric is not None:
            self._keep(self._native_metrics, metric, SAME_LIMIT)

    def _keep(self, facts: list[_FactT], fact: _FactT, limit: int) -> None:
        """Keeps the first facts and the last one."""
        if len(facts) < limit:
            facts.append(fact)
        else:
            facts[-1] = fact
            self._dropped += 1

    def _problem(self, problem: Problem) -> None:
        self._keep(self._problems.setdefault(problem.kind, []), problem, SAME_LIMIT)

    # --- markers --------------------------------------------------------------------------------

    def _marker(self, text: bytes, number: int) -> None:
        self._markers += 1
        if self._markers > MARKERS_LIMIT and b'"done"' not in text:
            self._dropped += 1
            return
        try:
            fact, problem = markers.fact(text, number)
        except markers.MalformedError as reason:
            shown = f"{reason}: {markers.clean(text, 300)}"
            self._problem(Problem(kind="malformed_marker", line=number, text=shown))
            return
        if problem is not None:
            self._problem(Problem(kind="nan_loss", line=number, text=problem))
        if isinstance(fact, Edit):
            self._keep(self._edits, fact, EDITS_LIMIT)
        elif isinstance(fact, Metric):
            self._keep(self._metrics, fact, FACTS_LIMIT)
        elif isinstance(fact, Digest):
            same = self._digests.setdefault((fact.of, fact.stage), [])
            self._keep(same, fact, DIGESTS_LIMIT)
        elif isinstance(fact, Trace):
            self._keep(self._traces, fact, EDITS_LIMIT)
        elif isinstance(fact, Claim):
            self._keep(self._claims, fact, EDITS_LIMIT)
        elif isinstance(fact, markers.Environment):
            self._environment.update(fact.facts)
        elif isinstance(fact, markers.Note):
            self._note(fact.text)
        elif isinstance(fact, markers.Done):
            self._done = True

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._keep(self._notes, text, NOTES_LIMIT)

    # --- native lines ---------------------------------------------------------------------------

    def _lms(self, line: bytes, number: int) -> None:
        edit = native.edit(line, number)
        if edit is not None:
            self._keep(self._edits, edit, EDITS_LIMIT)
        self._lms_v1(line, number)
        milliseconds = native.took(line)
        last = self._edits[-1] if self._edits else None
        if milliseconds is not None and last and last.milliseconds is None:
            self._edits[-1] = last.model_copy(update={"milliseconds": milliseconds})
        kind = native.lms_problem(line)
        if kind is not None:
            self._problem(Problem(kind=kind, line=number, text=markers.clean(line)))
        note = native.lms_note(line)
        if note is not None:
            self._note(note)

    def _lms_v1(self, line: bytes, number: int) -> None:
        """TFLMS v1 says in two lines what v2 says in one; either may come first."""
        added, swapped = native.edit_v1(line)
        if swapped is not None:
            last = self._edits[-1] if self._edits else None
            if last and last.source == "native" and last.swap_out == 0:
                swaps = {"swap_out": swapped, "swap_in": swapped}
                self._edits[-1] = last.model_copy(update=swaps)
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
                text=markers.clean(line),
            )
            self._keep(self._edits, edit, EDITS_LIMIT)

    # --- tracebacks -----------------------------------------------------------------------------

    def _open_traceback(self, flat: bytes, start: int, end: int, line: bytes, number: int) -> None:
        if not native.traceback_header(line):
            return
        before = (self._before + flat[max(0, start - 4096) : start])[-4096:]
        self._close_traceback(None)
        # Python chains with a blank line between, a logger puts the traceback right below.
        if native.chained(_last_line(before.rstrip(b"\n"))):
            found = self._problems.get("traceback", [])
            if self._traceback_counts and found:
                # One failure, reported where it began with the exception that ended it.
                number = found.pop().line
        else:
            self._traceback_counts = not native.caught(_last_line(before.removesuffix(b"\n")))
        text = "a traceback without an exception"
        self._traceback = Problem(kind="traceback", line=number, text=text)
        self._traceback_lines = TRACEBACK_LIMIT
        self._find_exception(flat, end + 1)

    def _find_exception(self, flat: bytes, start: int) -> None:
        """Looks for the exception that ends the open traceback: the first line not indented."""
        while start < len(flat):
            end = flat.find(b"\n", start)
            end = len(flat) if end < 0 else end
            if flat[start : start + 1] not in (b" ", b"\t", b"\n"):
                line = flat[start:end]
                exception = native.exception(line)
                if exception is not None and not self._traceback_counts:
                    self._caught.add(start)
                if exception is not None or native.TRACEBACK in line:
                    self._close_traceback(exception)
                    return
            self._traceback_lines -= 1
            if self._traceback_lines == 0:
                self._close_traceback(None)
                return
            start = end + 1

    def _close_traceback(self, exception: str | None) -> None:
        if self._traceback is not None and self._traceback_counts:
            text = {"text": exception} if exception else {}
            self._problem(self._traceback.model_copy(update=text))
        self._traceback = None


def _spans(needles: Iterable[native.Needle], flat: bytes) -> list[tuple[int, int]]:
    """Start and end of the lines that hold a needle, in order."""
    spans: dict[int, int] = {}
    for needle in needles:
        for position in native.positions(needle, flat):
            end = flat.find(b"\n", position)
            spans[flat.rfind(b"\n", 0, position) + 1] = end if end >= 0 else len(flat)
    return sorted(spans.items())


_LineT = TypeVar("_LineT", Mutation, Problem, Digest)


def _by_line(groups: Iterable[list[_LineT]]) -> list[_LineT]:
    return sorted((fact for group in groups for fact in group), key=lambda fact: fact.line)


def _last_line(text: bytes) -> bytes:
    return text[text.rfind(b"\n") + 1 :]


def _first_end(chunk: bytes) -> int:
    """Offset of the first newline or carriage return, -1 if there is none."""
    newline = chunk.find(b"\n")
    carriage = chunk.find(b"\r", 0, newline if newline >= 0 else len(chunk))
    return carriage if carriage >= 0 else newline
