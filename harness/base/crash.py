"""What becomes of a bug of the harness: its traceback is kept in a file, the user gets one line."""

from __future__ import annotations

import contextlib
import platform
import shlex
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from harness.base import atomic
from harness.base.error import CrashError, HarnessError
from harness.base.text import one_line

FILE = "crash.txt"


def is_bug(problem: BaseException) -> bool:
    """Whether an exception is a bug of the harness.

    It is not where it has a line for the user already, or where the system refused something.
    """
    return isinstance(problem, Exception) and not isinstance(problem, (HarnessError, OSError))


def summary(problem: BaseException) -> str:
    """The exception and where it was raised, in one line."""
    frames = traceback.extract_tb(problem.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = one_line(str(problem), 300) if str(problem) else ""
    return f"{type(problem).__name__}{f': {text}' if text else ''}{where}"


def text(problem: BaseException) -> str:
    """The traceback, with the causes of the exception."""
    return "".join(traceback.format_exception(problem))


def store(problem: BaseException, directory: Path) -> CrashError:
    """Keeps the traceback in `crash.txt`; returns the error with the line for the user.

    Where the file cannot be written the traceback goes to standard error: it must not be lost.
    """
    head = f"{shlex.join(sys.argv)}\nPython {platform.python_version()}, {platform.platform()}\n\n"
    # A message may hold text that is no Unicode, such as a file name.
    content = (head + text(problem)).encode("utf-8", "backslashreplace")
    try:
        kept = f"its traceback is in {atomic.write(directory / FILE, content)}"
    except OSError as refused:
        sys.stderr.write(content.decode())
        kept = f"its traceback could not be kept in {directory} ({refused.strerror})"
    return CrashError(f"the harness itself broke: {summary(problem)}; {kept}")


@contextlib.contextmanager
def kept(directory: Path) -> Iterator[None]:
    """Keeps the traceback of a bug in a directory.

    Raises:
        CrashError: in place of an exception that is a bug.
    """
    try:
        yield
    except Exception as problem:
        if not is_bug(problem):
            raise
        raise store(problem, directory) from problem
