"""What counts as a problem, and every program's needles in one place.

A line that shows that something went wrong counts unless what comes after it shows that the
program went on: how much of that is needed depends on who wrote the line.

- Nothing takes back the death of a process (a signal, an abort, a failed check, a kill for memory,
  a time limit), or a loss that is not finite, whoever says so.
- A line that a Python logger wrote at WARNING or below, or Python's warnings, was handled. One at
  ERROR or above counts unless progress or an end follows; so does one that somebody printed.
- A line of a C++ runtime counts unless progress and an end follow. That an
  allocator tried, failed, and goes on with less is no problem.
- For tracebacks see `logs.tracebacks`.

A log of a machine without a GPU may hold "failed call to cuInit"; whether that matters is for the
caller, who knows whether a GPU was asked for (`cuda.no_gpu`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from harness.logs.grammar import (
    cuda,
    jobs,
    keras,
    kernel,
    loggers,
    python,
    state,
    swapping,
    tensorflow,
)
from harness.logs.grammar.loggers import Level
from harness.logs.grammar.needles import Needle, around
from harness.record.facts import Problem

# Lines that always are looked at; a script's markers have a needle of their own.
NEEDLES: tuple[Needle, ...] = (
    *tensorflow.NEEDLES,
    *python.NEEDLES,
    *python.LONELY_NEEDLES,
    *swapping.NEEDLES,
    *keras.HEAD_NEEDLES,
)
METRIC_NEEDLES = keras.METRIC_NEEDLES
START_NEEDLES = tensorflow.STARTS
# Once enough problems of a kind are kept, its words are only counted.
COUNTED: dict[str, tuple[Needle, ...]] = {
    "nan_loss": keras.NAN_NEEDLES,
    "out_of_memory": (
        *tensorflow.MEMORY_NEEDLES,
        *python.MEMORY_NEEDLES,
        *cuda.MEMORY_NEEDLES,
        *kernel.MEMORY_NEEDLES,
    ),
    "cuda_error": cuda.ERROR_NEEDLES,
    "crash": kernel.CRASH_NEEDLES,
    "stopped": jobs.NEEDLES,
    "not_restored": state.NEEDLES,
}
PROGRESS = keras.PROGRESS
COMPLETION = (*keras.COMPLETION, *jobs.COMPLETION)
# Where what an exception says ends, and somebody else writes.
FRESH: tuple[Needle, ...] = (
    *keras.PROGRESS,
    rb"\d\d:\d\d:\d\d|^(?:\S{1,40} )?(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|:::LMS|\[LMS\]\[",
    rb"^(?:\S{1,40} )?[DIWEF]\d{4} |Traceback \(most recent|(?:Warning|Error): |Exit|exit",
)
_MEMORY = (tensorflow.MEMORY, python.MEMORY, cuda.MEMORY)
_BACK_OFF = (tensorflow.BACK_OFF, cuda.BACK_OFF)
# Of problems of memory those of a GPU's, and among these the ones that are of the host's after all.
_OF_DEVICE = re.compile(
    r"CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY"
    r"|cudaErrorMemoryAllocation|hipErrorOutOfMemory|HIP out of memory|_STATUS_ALLOC_FAILED"
    r"|[Oo]ut of memory (?:while trying to allocate|allocating|trying to allocate)"
    r"|[Ff]ailed to allocate (?:request for|memory)|OOM when allocating tensor"
    r"|Dst tensor is not initialized"
)
_OF_HOST = re.compile(r"by allocator \S*(?:cpu|host)|device:CPU|[Pp]inned|\b[Hh]ost\b")
_QUOTED = (b"  ", b"\t")  # continues or quotes something,
# unless a scheduler or a container's engine lists what became of a job,
_TABULAR = re.compile(
    rb"\s+['\"]?(?i:reason|phase|exit[ _]?code|traceback|(?:last ?)?state|oomkilled)['\"]?\s{0,6}:"
    rb"|\s+Warning\s{2}|\t\(0\) Abnormal"
)


class Unless(Enum):
    """What has to follow a problem so that it does not count."""

    NOTHING = "nothing"
    PROGRESS = "progress or an end"
    END = "an end"
    BOTH = "progress and an end"


def problems(line: bytes, text: bytes, number: int) -> Iterator[tuple[Problem, Unless]]:
    """What went wrong, as far as one line can say it.

    Args:
        line: as it is in the log.
        text: the same without what transport has put in front.
        number: of the line.
    """
    label = line[: len(line) - len(text)]  # what looks like one may name the loss
    if match := keras.nan_loss(line if b"loss" in label else text):
        yield _problem("nan_loss", number, match, final=True), Unless.NOTHING
    if text.startswith(_QUOTED):
        if _TABULAR.match(text):
            yield from _deaths(text.strip(), number, None)
        return
    if match := state.lost(text):
        yield _problem("not_restored", number, match, final=True), Unless.NOTHING
    level = loggers.level(text)
    if level is not None and level <= Level.WARNING:
        return
    yield from _deaths(text, number, level)
    if any(pattern.search(text) for pattern in _BACK_OFF) and not python.ENDED.match(text):
        return
    runtime = loggers.native(text)
    if runtime is Level.INFO:
        return
    unless = Unless.PROGRESS
    if level is None and runtime is not None:
        unless = Unless.BOTH
    found = next((match for pattern in _MEMORY if (match := pattern.search(text))), None)
    if found and not tensorflow.other_resource(text):
        yield _problem("out_of_memory", number, found), unless
    if match := cuda.ERROR.search(text):
        yield _problem("cuda_error", number, match), unless


def of_device(problem: Problem) -> bool:
    """Whether a problem says that the memory of a GPU did not suffice, and not that of its host."""
    if problem.kind != "out_of_memory" or problem.final:
        return False
    return _OF_DEVICE.search(problem.text) is not None and not _OF_HOST.search(problem.text)


def _deaths(text: bytes, number: int, level: Level | None) -> Iterator[tuple[Problem, Unless]]:
    if match := kernel.MEMORY.search(text):
        yield _problem("out_of_memory", number, match, final=True), Unless.NOTHING
    elif match := kernel.crash(text):
        yield _problem("crash", number, match, final=True), Unless.NOTHING
    elif match := kernel.named(text):
        yield _problem("crash", number, match), Unless.BOTH
    if match := jobs.stopped(text):
        yield _problem("stopped", number, match, final=True), Unless.NOTHING
    elif match := jobs.ended(text):
        yield _problem("stopped", number, match), Unless.BOTH
    elif level is not None and level >= Level.ERROR and (match := jobs.failed(text)):
        yield _problem("stopped", number, match), Unless.PROGRESS


def _problem(kind: str, number: int, match: re.Match[bytes], final: bool = False) -> Problem:
    return Problem(kind=kind, line=number, text=around(match), final=final)
