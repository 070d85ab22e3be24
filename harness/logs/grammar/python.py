"""Lines of Python: tracebacks in every form in which they are printed, and their exceptions.

Forms: CPython's, also behind a progress bar or inside a message; exception groups; IPython's;
rich's, in a box. Whether an exception was handled is told by the stack first: the outermost frame
of one that nobody handled is the module itself, or a thread's start.
"""

from __future__ import annotations

import re
from enum import Enum

from harness.base.text import bounded
from harness.logs.grammar import loggers
from harness.logs.grammar.loggers import Level
from harness.logs.grammar.needles import Needle

TRACEBACK = b"Traceback (most recent call last)"
NEEDLES: tuple[Needle, ...] = (rb"Traceback \(most recent call last\)",)
# An exception with no traceback above it: of a syntax error, of IPython, of arguments, or where
# tracebacks are switched off.
LONELY_NEEDLES: tuple[Needle, ...] = (
    rb"\b(?:Value|Type|Runtime|Key|Index|Attribute|OS|IO|Syntax|Indentation"
    rb"|Tab|Import|ModuleNotFound|FileNotFound|Permission|Assertion|Arithmetic|ZeroDivision|Name"
    rb"|NotImplemented|Recursion|EOF|Unicode\w*|Connection\w*|BrokenPipe|Timeout|Lookup|System"
    rb"|NotFound|InvalidArgument|FailedPrecondition|Internal|Unimplemented|Unavailable|DataLoss"
    rb"|ResourceExhausted|OutOfRange|Aborted|Unknown|XlaRuntime|JaxRuntime|Memory|OutOfMemory"
    rb"|_ArrayMemory|Unpickling|CalledProcess|FloatingPoint|Overflow|JSONDecode|DistBackend|DistStore"
    rb"|HTTP|Validation|Pickling|ExecuteUserScript)Error:?(?: |$)",
    rb"\wException(?:: |$)|Exception in thread \"",
    rb"\"output_type\": ?\"error\"|\xe2\x94\x80 Error \xe2\x94\x80",
    rb"\w\.\w+(?:Error|Exception)(?:: |$)",
    rb"An exception has occurred, use %tb",
    rb"\.py: error: ",
    rb"can't open file '[^'\n]{0,300}': \[Errno 2\]",
    rb"\bKeyboardInterrupt$",
)
MEMORY_NEEDLES: tuple[Needle, ...] = (
    b"MemoryError",
    b"ResourceExhaustedError",
    rb"OSError: \[Errno 12\]",
    rb"[Oo]ut ?[Oo]f ?[Mm]emory",
)
MEMORY = re.compile(
    rb"^(?:[\w.]+\.)?(?:_Array)?MemoryError(?:$|[:\s])"
    rb"|^(?:[\w.]+\.)?(?:ResourceExhausted|OutOfMemory)Error\b"
    rb"|^(?:[\w.]+\.)?(?:RuntimeError|InternalError|(?:Xla|Jax)RuntimeError): .*[Oo]ut of memory"
    rb"|^OSError: \[Errno 12\]"
)
# An exception in which an allocation ended is no attempt of an allocator that goes on.
ENDED = re.compile(rb"^(?:[\w.]+\.)?(?:ResourceExhausted|OutOfMemory|XlaRuntime|JaxRuntime)Error: ")
_LONELY = re.compile(
    rb"(?:\w+\.)*\w{1,60}(?:Error|Exception)(?:$"
    rb"|: (?!\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?%?\s*(?:$|[-,|;/(])))"
    rb"|An exception has occurred, use %tb|[\w./-]{1,80}\.py: error: |KeyboardInterrupt$"
    rb"|[\w./-]{0,200}python[\d.]*: can't open file '"
    rb"|Exception in thread \"\S{1,60}\" [\w.]{1,200}(?:Error|Exception)\b"  # Java
    rb"|[\s{][^\n]{0,200}\"output_type\": ?\"error\""  # a notebook as JSON
    rb"|\xe2\x95\xad\xe2\x94\x80 Error \xe2\x94\x80"  # typer
)

_HEADER = re.compile(rb"Traceback \(most recent call last\):\s*$")
_GROUP = re.compile(rb"\s*\+ Exception Group Traceback \(most recent call last\):\s*$")
_IPYTHON = re.compile(rb"([A-Za-z_][\w.]{0,200})\s{2,200}Traceback \(most recent call last\)\s*$")
_BOX = rb"(?:\xe2[\x94\x95][\x80-\xbf]|[-+|=\s])"
_BOXED = re.compile(_BOX + rb"{1,400}Traceback \(most recent call last\)(?: \xe2|[^\w:]|$)")
_BAR = re.compile(
    rb"it/s|s/it|\d%\||\?it|ETA|\d+/\d+ ?\[|\[[=>. #-]{5,}\]|\d+/\d+|\b(?:loss|acc\w*)\b:? ?\d"
)
_EXCEPTION = re.compile(rb"[A-Za-z_][\w.<>]{0,300}(?:\([\w.]{1,100}\))?(?::(?:\s|$)|\s*$)")
_IGNORED = re.compile(rb"Exception ignored |--- Logging error ---|Error in atexit\._run_exitfuncs")
_UNHANDLED = re.compile(
    rb"Exception in thread |Process \S{0,100}Process\S{0,100}:|Unhandled exception"
    rb"|Uncaught exception"
    rb"|Exception in callback|Error executing job with overrides"
)
_CHAINED = re.compile(
    rb"During handling of the above exception, another|The above exception was the direct cause"
)
_FRAME = re.compile(rb'\s*(?:\|\s+)?File "[^"\n]{0,1000}", line \d+(?:, in (.{1,200}))?$')
_OUTERMOST = re.compile(rb"<module>|_run_module_as_main|<cell line: \d+>|<frozen runpy>")
_THREAD = re.compile(rb"_bootstrap_inner|_bootstrap$|_bootstrap\b")


class Form(Enum):
    """How a traceback is printed."""

    PLAIN = "plain"
    GROUP = "group"
    IPYTHON = "IPython"
    BOXED = "boxed"


class Origin(Enum):
    """Where the outermost frame of a traceback is."""

    UNKNOWN = "unknown"
    MODULE = "module"  # nothing above it could have handled the exception
    THREAD = "thread"  # nor here
    WITHIN = "within"  # of a function: what called it has handled the exception


def header(line: bytes) -> tuple[Form, bytes] | None:
    """The form of a traceback that a line starts, and what stands in front of it on the line."""
    match = _HEADER.search(line)
    if match is not None:
        if _GROUP.match(line):
            return Form.GROUP, b""
        front = line[: match.start()]
        return None if front and not front.strip() else (Form.PLAIN, front)
    if _BOXED.match(line):
        return Form.BOXED, b""
    match = _IPYTHON.match(line)
    return (Form.IPYTHON, match[1]) if match else None


def ignored(before: bytes) -> bool:
    """Whether the line before a traceback says that Python itself caught the exception."""
    return _IGNORED.match(before) is not None


def unhandled(before: bytes) -> bool:
    """Whether the line before a traceback says that nobody caught the exception."""
    return _UNHANDLED.search(before) is not None


def teller(front: bytes, before: bytes) -> Level | None:
    """How serious whoever printed a traceback found it, None where nobody says.

    Args:
        front: what stands before the header on its line: a progress bar, or a message that the
            traceback is a piece of.
        before: the line before.
    """
    if front:
        found = loggers.level(front)
        if found is None and not _BAR.search(front) and not front.rstrip().endswith(b"]"):
            return Level.ERROR  # somebody has formatted it, and so has caught it
        return found
    return loggers.level(before)


def origin(line: bytes) -> Origin | None:
    """Where a traceback comes from, if the line is a frame (to be asked of the first one)."""
    match = _FRAME.match(line)
    if match is None:
        return None
    function = match[1]
    if function is None:
        return Origin.UNKNOWN
    if _OUTERMOST.match(function):
        return Origin.MODULE
    return Origin.THREAD if _THREAD.match(function) else Origin.WITHIN


def exception(line: bytes, form: Form, name: bytes = b"") -> str | None:
    """The exception that ends a traceback, e.g. `ValueError: bad shape`, if the line is one.

    Args:
        name: of the exception, where the header tells it.
    """
    if form is Form.GROUP:
        line = line.lstrip(b" |")
    if form is Form.IPYTHON:
        found = line == name or line.startswith(name + b":")
    else:
        found = _EXCEPTION.match(line) is not None and loggers.level(line) is None
    return bounded(line) if found else None


def lonely(line: bytes) -> bool:
    """Whether a line is an exception that ended the program with no traceback above it."""
    return _LONELY.match(line) is not None


def chained(line: bytes) -> bool:
    """Whether the next traceback belongs to the same failure as the one before."""
    return _CHAINED.match(line) is not None
