"""The wish to stop a run, and what waits: it looks at the wish, or is left behind."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from harness.base.error import StoppedError

Result = TypeVar("Result")

PATIENCE_S = 1.5
"""Seconds in which what waits has to follow the wish."""

_CLEARING_S = 10.0  # for what has followed it, and clears away what it had begun
_LOOK_S = 0.1


class Stop(threading.Event):
    """Set when nothing more is to begin and what goes on is to end.

    Attributes:
        hurry: set when it gets no more time to end by itself.
        followed: set by what has seen the wish, and needs a moment to clear away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hurry = threading.Event()
        self.followed = threading.Event()


def follow(cancel: threading.Event) -> None:
    """Says that the wish is followed, by what needs a moment to clear away."""
    if isinstance(cancel, Stop):
        cancel.followed.set()


def hurry_of(cancel: threading.Event) -> threading.Event:
    """What says that nothing gets any more time; of a plain event one that is never set."""
    return cancel.hurry if isinstance(cancel, Stop) else threading.Event()


def waited_for(
    work: Callable[[], Result],
    cancel: threading.Event,
    doing: str,
    say: Callable[[str], None] = lambda line: None,
) -> Result:
    """Does what may wait for long in a thread, which is left behind where it does not stop in time.

    A call of a daemon that does not answer, or of a name server, cannot be interrupted.

    Args:
        doing: what is done, in words that go on from "stopping: ".

    Raises:
        StoppedError: `cancel` was set, and the work stopped for it or is left behind.
        Exception: what the work raises.
    """
    end: Future[Result] = Future()

    def run() -> None:
        try:
            end.set_result(work())
        except BaseException as problem:  # raised where it is waited for
            end.set_exception(problem)

    thread = threading.Thread(target=run, name=doing, daemon=True)
    thread.start()
    try:
        thread.join(_LOOK_S)
        while thread.is_alive() and not cancel.is_set():
            thread.join(_LOOK_S)
        if thread.is_alive():
            say(f"stopping: {doing}")
            _leave(thread, cancel)
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):
            thread.join(PATIENCE_S)  # it may have something to clear away
        raise
    if not end.done():
        raise StoppedError(f"the run was stopped while it was {doing}")
    return end.result()


def _leave(thread: threading.Thread, cancel: threading.Event) -> None:
    """Waits for a thread that is to stop, and not for long."""
    hurry, began = hurry_of(cancel), time.monotonic()
    while thread.is_alive() and not hurry.is_set():
        followed = isinstance(cancel, Stop) and cancel.followed.is_set()
        if time.monotonic() > began + (_CLEARING_S if followed else PATIENCE_S):
            break
        thread.join(_LOOK_S)
