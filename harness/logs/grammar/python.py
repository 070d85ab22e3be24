"""Lines of Python: tracebacks, exceptions, loggers and warnings."""

from __future__ import annotations

import re

from harness.base.text import bounded
from harness.logs.grammar.needles import Needle

TRACEBACK = b"Traceback (most recent call last):"
MEMORY_NEEDLES: tuple[Needle, ...] = (
    b"MemoryError",
    b"ResourceExhaustedError",
    b"OSError: [Errno 12]",
    b"ut of memory",
)
MEMORY = re.compile(
    rb"^(?:[\w.]+\.)?(?:_Array)?MemoryError(?:$|[:\s])"
    rb"|^(?:[\w.]+\.)?ResourceExhaustedError\b"
    rb"|^(?:[\w.]+\.)?(?:RuntimeError|InternalError|XlaRuntimeError): .*[Oo]ut of memory"
    rb"|^OSError: \[Errno 12\]"
)

# Python's logging ("WARNING:name:", "2024-01-01 00:00:00,000 WARNING"), absl ("W0101 ... x.py:1]").
_LOGGED = re.compile(
    rb"\s*(?:\[?[\d-]{10}[ T][\d:.,]{8,15}\S{0,6}\s*[-\]:]?\s*)?\[?(?:DEBUG|INFO|WARNING|WARN)\b"
    rb"|[IW]\d{4} [\d:.]{8,15}\s+\d+ [\w./-]+\.py:\d+\]"
    rb"|[\w./-]+\.py:\d+: \w*Warning:"
)
_HEADER = re.compile(rb"(?:  \+ Exception Group )?Traceback \(most recent call last\):\s*$")
_EXCEPTION = re.compile(rb"[A-Za-z_][\w.]{0,300}(?::(?:\s|$)|\s*$)")
_CAUGHT = re.compile(rb"Exception ignored in|--- Logging error ---")
_CHAINED = re.compile(
    rb"During handling of the above exception, another|The above exception was the direct cause"
)


def traceback_header(line: bytes) -> bool:
    """Whether a line starts the traceback of an exception: at the start of its line."""
    return _HEADER.match(line) is not None


def caught(before: bytes) -> bool:
    """Whether the line before a traceback says that Python or a logger caught the exception."""
    return _CAUGHT.match(before) is not None or logged(before)


def exception(line: bytes) -> str | None:
    """The exception at the end of a traceback, e.g. `ValueError: bad shape`, if the line is one."""
    return bounded(line) if _EXCEPTION.match(line) else None


def chained(line: bytes) -> bool:
    """Whether the next traceback belongs to the same failure as the one before."""
    return _CHAINED.match(line) is not None


def logged(line: bytes) -> bool:
    """Whether a Python logger, or Python's warnings, wrote the line at WARNING or below."""
    return _LOGGED.match(line) is not None
