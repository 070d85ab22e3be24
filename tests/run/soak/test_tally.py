"""Verdicts over repeats of one case: always, never, flaky."""

from __future__ import annotations

import pytest

from harness.base.error import (
    EXIT_CRASHED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOT_JUDGED,
    EXIT_PASSED,
)
from harness.record.checks import Number
from harness.run.soak import tally
from harness.run.soak.soak import Difference, Repeat, Seen, Soak

FIRST: dict[str, Number] = {
    "c: phases complete": "passed",
    "c: state restored": "failed",
    "c: swapping": "passed",
    "c: resumed": "skipped",
    "c: result": "known",
}


def soak_of(*codes: int, planned: int = 0, state: str = "finished") -> Soak:
    return Soak(
        id="20250301-100000-3f2a",
        state=state,
        started="2025-03-01T10:00:00Z",
        engine="venv",
        accelerator="virtual",
        provider="builtin",
        planned=planned or len(codes),
        cases=1,
        phases=2,
        repeats=[Repeat(number=n, run=str(n), exit_code=code) for n, code in enumerate(codes, 1)],
        verdicts=[
            Difference(
                name="c: swapping",
                seen=[
                    Seen(value="passed", repeats=[1, 2, 4]),
                    Seen(value="failed", repeats=[3]),
                ],
            )
        ],
    )


def test_each_check_is_counted() -> None:
    soak = soak_of(1, 1, 1, 1)
    found = tally.tallies(FIRST, soak)
    assert [entry.word for entry in found] == ["always", "never", "flaky", "skipped", "always"]
    assert list(tally.lines(found, soak)) == [
        "always   c: phases complete: passed 4",
        "never    c: state restored: failed 4",
        "flaky    c: swapping: passed 3, failed 1 (repeat 3)",
        "skipped  c: resumed: skipped 4",
        "always   c: result: known 4",
        "4 repeats: 2 always, 1 flaky, 1 never",
    ]


def test_fewer_repeats_than_were_asked_for_are_told() -> None:
    soak = soak_of(0, planned=20, state="interrupted")
    assert list(tally.lines([], soak)) == ["1 repeat of 20, interrupted: nothing was judged"]


@pytest.mark.parametrize(
    ("codes", "state", "code"),
    [
        ((0, 0), "finished", EXIT_PASSED),
        ((0, 1, 0), "finished", EXIT_FAILED),
        ((0, 2), "finished", EXIT_NOT_JUDGED),
        ((2, 1), "finished", EXIT_FAILED),
        ((1, 3), "finished", EXIT_CRASHED),
        ((0,), "interrupted", EXIT_INTERRUPTED),
        ((), "finished", EXIT_NOT_JUDGED),
    ],
)
def test_the_exit_code_is_that_of_the_worst_repeat(codes, state, code) -> None:
    assert tally.exit_code(soak_of(*codes, state=state)) == code
