"""Whose doing the end of a script was, by its exit code or signal."""

from __future__ import annotations

import signal

import pytest

from harness.engine import ending
from harness.engine.protocol import Exit
from harness.record.models import Outcome

OWN = ["ABRT", "ALRM", "BUS", "FPE", "ILL", "IO", "PIPE", "PROF", "SEGV", "SYS", "TRAP", "VTALRM"]
SENT = ["HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2", "XCPU"]


@pytest.mark.parametrize("name", OWN)
def test_what_a_process_brings_upon_itself_is_its_failure(name: str) -> None:
    number = getattr(signal, f"SIG{name}")
    ended = ending.exit_of(-number, {"pid": 1})
    assert (ended.outcome, ended.code, ended.details) == (Outcome.FAILED, 128 + number, {"pid": 1})
    assert ended.reason.startswith(f"ended by a signal (SIG{name}")


@pytest.mark.parametrize("name", SENT)
def test_what_somebody_sends_is_not(name: str) -> None:
    number = getattr(signal, f"SIG{name}")
    ended = ending.exit_of(-number, {})
    assert (ended.outcome, ended.code) == (Outcome.KILLED, 128 + number)
    line = f"[lms-harness] this process sends a signal to itself: {number}"
    own = ending.by_itself(ended, ["Traceback", line])
    assert (own.outcome, own.code) == (Outcome.FAILED, 128 + number)
    assert own.reason == f"{ended.reason} that it sent itself"
    for other in ([], [f"{line}0"], [f"# {line}"], [line.replace(str(number), "99")]):
        assert ending.by_itself(ended, other) is ended


@pytest.mark.parametrize(
    ("code", "memory", "outcome", "reason"),
    [
        (0, "", Outcome.COMPLETED, ""),
        (0, "a limit", Outcome.COMPLETED, ""),
        (7, "", Outcome.FAILED, "exit code 7"),
        (137, "", Outcome.FAILED, "exit code 137"),
        (
            -9,
            "a limit",
            Outcome.OUT_OF_MEMORY,
            "the kernel's out-of-memory killer ended it: a limit",
        ),
        (-64, "", Outcome.KILLED, "ended by a signal (SIGRTMAX"),
        (-50, "", Outcome.KILLED, "ended by a signal (number 50)"),
    ],
)
def test_other_ends(code: int, memory: str, outcome: Outcome, reason: str) -> None:
    ended = ending.exit_of(code, {}, memory)
    assert ended.outcome is outcome
    assert ended.reason.startswith(reason)


def test_only_a_signal_that_somebody_sent_is_looked_for_in_the_log() -> None:
    line = "[lms-harness] this process sends a signal to itself: 9"
    for other in (Exit(Outcome.TIMED_OUT, None, "late"), Exit(Outcome.OUT_OF_MEMORY, 137, "limit")):
        assert ending.by_itself(other, [line]) is other
