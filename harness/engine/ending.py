"""How a script ended by itself, and whose doing that was: its own, or something outside it. Pure.

Nobody can ask the kernel afterwards who has sent a signal. What a process brings upon itself comes
with signals of its own, such as SIGSEGV; SIGKILL and SIGTERM are sent by somebody. A script that
sends them to itself says so (`scenarios/sitecustomize.py`).
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from harness.engine.protocol import Exit
from harness.record.models import Outcome

# What the kernel sends a process for what the process has done: a wrong access or instruction, a
# timer that it has set, a pipe that it has closed; and what `abort` sends.
_OWN = frozenset(
    {
        *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV),
        *(signal.SIGALRM, signal.SIGIO, signal.SIGPIPE, signal.SIGPROF, signal.SIGSYS),
        *(signal.SIGTRAP, signal.SIGVTALRM),
    }
)
_TO_ITSELF = "[lms-harness] this process sends a signal to itself: "


def exit_of(code: int, details: Mapping[str, Any], memory: str = "") -> Exit:
    """How a process ended by itself.

    Args:
        code: its exit code, minus the signal's number where one ended it.
        memory: which limit of memory the kernel has ended it for, in words; "" where it has not.
    """
    if code == 0:
        return Exit(Outcome.COMPLETED, 0, "", details)
    if code > 0:
        return Exit(Outcome.FAILED, code, f"exit code {code}", details)
    if memory:
        reason = f"the kernel's out-of-memory killer ended it: {memory}"
        return Exit(Outcome.OUT_OF_MEMORY, 128 - code, reason, details)
    outcome = Outcome.FAILED if -code in _OWN else Outcome.KILLED
    return Exit(outcome, 128 - code, f"ended by a signal ({_name(-code)})", details)


def by_itself(ended: Exit, log: Iterable[str]) -> Exit:
    """The end of a script that may have sent the signal itself: then it has failed.

    Args:
        log: the last lines of its standard error.
    """
    if ended.outcome is not Outcome.KILLED or ended.code is None:
        return ended
    if f"{_TO_ITSELF}{ended.code - 128}" not in log:
        return ended
    return replace(ended, outcome=Outcome.FAILED, reason=f"{ended.reason} that it sent itself")


def _name(number: int) -> str:
    """A signal in words, e.g. `SIGSEGV, segmentation fault`."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"number {number}"
    words = (signal.strsignal(number) or "").lower()
    return f"{name}, {words}" if words else name
