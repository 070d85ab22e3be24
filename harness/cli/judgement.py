"""Verdicts on logs from anywhere: what `harness judge` prints."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harness.base import plain_file
from harness.base.error import EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED, UsageError
from harness.base.text import one_line
from harness.checks import log_alone
from harness.logs import parser, transport
from harness.record.checks import Check, Status
from harness.record.facts import LogFacts

STANDARD_INPUT = "-"
_LINES = 5
_WRITER_S = 2.0  # for somebody who is about to write to a FIFO
_CHUNK = 2**16


@dataclass(frozen=True)
class Expectation:
    """What is known of the run that wrote a log.

    Attributes:
        provider: one of `log_alone.PROVIDERS`.
    """

    provider: str = log_alone.GRAPH
    exit_code: int | None = None


@dataclass(frozen=True)
class Judgement:
    """The checks of one log, or of several that are ranks of one run.

    Attributes:
        logs: their names, each with what was read of it.
        ranks: the checks of each rank, where there are several.
    """

    logs: tuple[tuple[str, LogFacts], ...]
    checks: tuple[Check, ...]
    ranks: tuple[tuple[Check, ...], ...] = ()

    @property
    def name(self) -> str:
        """What was judged."""
        return ", ".join(name for name, _ in self.logs)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        checks = [check.model_dump(mode="json") for check in self.checks]
        if not self.ranks:
            ((name, facts),) = self.logs
            return {"log": name, "checks": checks, "facts": facts.model_dump(mode="json")}
        ranks = [
            {
                "rank": rank,
                "log": name,
                "checks": [check.model_dump(mode="json") for check in self.ranks[rank]],
                "facts": facts.model_dump(mode="json"),
            }
            for rank, (name, facts) in enumerate(self.logs)
        ]
        return {"logs": [name for name, _ in self.logs], "checks": checks, "ranks": ranks}


def judge(
    paths: Sequence[Path], expected: Expectation = Expectation(), ranks: bool = False
) -> list[Judgement]:
    """Judges each log by itself: the log of one phase, standard output and error together.

    Args:
        paths: of the logs; `-` is standard input.
        expected: what is known of the run.
        ranks: the logs are of the ranks of one run, in their order, and get one verdict.

    Raises:
        UsageError: a log cannot be read.
    """
    if sum(str(path) == STANDARD_INPUT for path in paths) > 1:
        raise UsageError("standard input (-) can be read once only")
    judged = []
    for path in paths:
        facts = _read(path)
        checks = log_alone.judge_log(facts, expected.provider, expected.exit_code)
        judged.append(Judgement(((str(path), facts),), tuple(checks)))
    if not ranks:
        return judged
    named = [(f"rank {rank} ({entry.name})", entry.checks) for rank, entry in enumerate(judged)]
    return [
        Judgement(
            tuple(entry.logs[0] for entry in judged),
            tuple(log_alone.judge_ranks(named)),
            tuple(entry.checks for entry in judged),
        )
    ]


def exit_code(judgements: Sequence[Judgement]) -> int:
    """1: some check failed; 2: none failed but one could not be judged, or none applied; else 0."""
    codes = []
    for judgement in judgements:
        statuses = {entry.status for entry in judgement.checks}
        if Status.FAILED in statuses:
            codes.append(EXIT_FAILED)
        elif Status.ERROR in statuses or Status.PASSED not in statuses:
            codes.append(EXIT_NOT_JUDGED)
    for code in (EXIT_FAILED, EXIT_NOT_JUDGED):
        if code in codes:
            return code
    return EXIT_PASSED


def lines(judgements: Sequence[Judgement]) -> Iterator[str]:
    """The verdicts as text."""
    for judgement in judgements:
        yield judgement.name
        yield from verdicts(judgement.checks)


def verdicts(checks: Iterable[Check]) -> Iterator[str]:
    """Each check with its message; below one that did not pass, the log lines behind it."""
    for entry in checks:
        yield f"  {entry.status.value:<8} {entry.id.label:<22} {one_line(entry.message)}"
        if entry.defect is not None:
            yield f"           {one_line(entry.defect.text)}"
        if entry.status in (Status.FAILED, Status.ERROR):
            for line in entry.lines[:_LINES]:
                yield f"           {one_line(line, 300)}"


def _read(path: Path) -> LogFacts:
    try:
        if str(path) == STANDARD_INPUT:
            return _facts(sys.stdin.buffer, None)
        with _open(path) as file:
            return _facts(file, path)
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror or problem}") from problem


def _open(path: Path) -> BinaryIO:
    """A log: a file, or a pipe that somebody writes to, such as a shell's `<(zcat LOG)`.

    Raises:
        OSError: it is none of these, or nobody writes to the pipe.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    raw = io.FileIO(descriptor)
    try:
        mode, first = os.fstat(descriptor).st_mode, b""
        if stat.S_ISFIFO(mode):
            first = _first(raw, path)
        elif (problem := plain_file.other(mode, path)) is not None:
            raise problem
        os.set_blocking(descriptor, True)
        return io.BufferedReader(_Joined(first, raw) if first else raw)
    except BaseException:
        raw.close()
        raise


def _first(pipe: io.FileIO, path: Path) -> bytes:
    """What has been written to a pipe by now; waits a little for somebody who writes."""
    late = time.monotonic() + _WRITER_S
    while (data := pipe.read(_CHUNK)) == b"":  # None: somebody has opened it to write
        if time.monotonic() > late:
            raise OSError(errno.EPIPE, "is a FIFO that nobody writes to", str(path))
        time.sleep(0.05)
    return data or b""


class _Joined(io.RawIOBase):
    """What was read already, and then the rest."""

    def __init__(self, first: bytes, rest: io.FileIO) -> None:
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._first:
            return self._rest.readinto(buffer)
        count = min(len(buffer), len(self._first))
        buffer[:count], self._first = self._first[:count], self._first[count:]
        return count

    def close(self) -> None:
        self._rest.close()
        super().close()


def _facts(file: BinaryIO, path: Path | None) -> LogFacts:
    """The facts of a log that may be compressed, if its name says so or if it has none.

    A compressed file under another name is not what whoever named it thinks: the verdict is that it
    is no text.
    """
    source = file if isinstance(file, io.BufferedReader) else io.BytesIO(file.read())
    form = transport.packing(source.peek(8)[:8] if isinstance(source, io.BufferedReader) else b"")
    if form is None or (path is not None and path.suffix not in transport.suffixes(form)):
        return parser.parse(source)
    unpacked = transport.Unpacked(source, form)
    try:
        facts = parser.parse(unpacked)
    except transport.TooLargeError as problem:
        raise UsageError(f"{path or STANDARD_INPUT}: {problem}") from None
    return facts.model_copy(update={"damage": unpacked.damage})
