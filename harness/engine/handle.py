"""A script that an engine has started, watched to its end: a phase, or a serving phase's client."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from harness.engine.protocol import Exit
from harness.record.models import Outcome

_TICK_S = 0.1  # how late a cancellation or the deadline may be seen; the end is seen at once

Stopped = tuple[Outcome, str]  # why the harness stopped a script, with a reason of one line


class Handle(Protocol):
    """A started script."""

    def ended(self, seconds: float) -> bool:
        """Whether it has ended; waits for that, at most so long."""

    def stop(self) -> bool:
        """TERM, and KILL after the grace period; whether TERM was enough."""

    def finish(self) -> Exit:
        """How it ended by itself. Called once, after its end; its logs are complete then."""


class Limits:
    """How long a phase may take: to its deadline, or to the end of the run."""

    def __init__(self, deadline_s: float, cancel: threading.Event) -> None:
        """Starts the clock."""
        self._deadline_s = deadline_s
        self._deadline = time.monotonic() + deadline_s
        self._cancel = cancel

    def pause(self) -> float:
        """Seconds to wait for something until these limits have to be looked at again."""
        return min(_TICK_S, max(self._deadline - time.monotonic(), 0.0))

    def reached(self) -> Stopped | None:
        """Why nothing may go on, or None."""
        if self._cancel.is_set():
            return Outcome.INTERRUPTED, "the run was stopped"
        if time.monotonic() >= self._deadline:
            return Outcome.TIMED_OUT, f"still running after {self._deadline_s:g} s"
        return None


def run(part: Handle, limits: Limits) -> Exit:
    """Waits for the end of a script that runs alone, and stops it at its limits."""
    stopped: Stopped | None = None
    while stopped is None and not part.ended(limits.pause()):
        stopped = limits.reached()
    if stopped is not None:
        part.stop()
    ended = part.finish()
    return ended if stopped is None else Exit(stopped[0], None, stopped[1], ended.details)
