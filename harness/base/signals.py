"""SIGINT, SIGTERM and SIGHUP as a wish to stop that a run looks at when it can."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from harness.base.stop import hurry_of

_Handler = Callable[..., Any] | int | None


@contextlib.contextmanager
def stop_signals(cancel: threading.Event) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP sets `cancel`.

    A SIGINT after that sets its `hurry`, and one more raises `KeyboardInterrupt`.
    """
    hurry = hurry_of(cancel)

    def stop(number: int, frame: object) -> None:
        if not cancel.is_set():
            cancel.set()
        elif number == signal.SIGINT:
            if hurry.is_set():
                raise KeyboardInterrupt
            hurry.set()

    previous: dict[signal.Signals, _Handler] = {}
    if threading.current_thread() is threading.main_thread():
        previous = _handled_by(stop)
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)


def interruptible() -> None:
    """SIGTERM and SIGHUP raise `KeyboardInterrupt` as SIGINT does, where nothing else is said."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    _handled_by(interrupt, signal.SIGTERM)


def _handled_by(
    handler: Callable[[int, object], None], *names: signal.Signals
) -> dict[signal.Signals, _Handler]:
    """Sets a handler of these signals, and of SIGHUP unless it is ignored (nohup).

    Returns:
        The handlers before, by signal.
    """
    previous: dict[signal.Signals, _Handler] = {}
    for name in (*(names or (signal.SIGINT, signal.SIGTERM)), signal.SIGHUP):
        if name is signal.SIGHUP and signal.getsignal(name) is signal.SIG_IGN:
            continue
        previous[name] = signal.signal(name, handler)
    return previous
