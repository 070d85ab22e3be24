"""Python imports this as each process of a phase starts: it says when one ends itself by a signal.

SIGKILL and SIGTERM are what ends a process from outside, which is no fault of what is tested. A
script that sends one to itself has failed. The two look the same afterwards, so the sender writes a
line to standard error before it does.

Python imports one module of this name, the first on its path. Another one there is imported too.
"""

import functools
import importlib.machinery
import importlib.util
import os
import signal
import sys
import typing

_LINE = "[lms-harness] this process sends a signal to itself: %d\n"


def _ends(number: int) -> bool:
    """Whether this signal would end this process."""
    try:
        return signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    except (ValueError, TypeError, OSError):
        return False


def _say(number: int) -> None:
    try:
        os.write(2, (_LINE % number).encode())
    except OSError:  # closed, or a pipe that nobody reads any more
        pass


def _told(send: typing.Any, own: typing.Callable[[], typing.Iterable[int]]) -> typing.Any:
    """The function that sends a signal to a process or group, told where it is one of `own`."""

    @functools.wraps(send)
    def sending(target: int, number: int) -> typing.Any:
        if number and target in own() and _ends(number):
            _say(number)
        return send(target, number)

    return sending


def _raised(send: typing.Any) -> typing.Any:
    @functools.wraps(send)
    def sending(number: int) -> typing.Any:
        if _ends(number):
            _say(number)
        return send(number)

    return sending


def _watch() -> None:
    os.kill = _told(os.kill, lambda: (0, -1, os.getpid(), -os.getpgrp(), os.getppid()))
    os.killpg = _told(os.killpg, lambda: (0, os.getpgrp()))
    if hasattr(signal, "raise_signal"):  # Python 3.8
        signal.raise_signal = _raised(signal.raise_signal)


def _import_other() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_watch()
_import_other()
