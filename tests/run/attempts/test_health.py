"""When a machine is broken: so many ends of the infrastructure's that they are no accident."""

from __future__ import annotations

from harness.run.attempts.health import Health


def broken_after(ends: str, at_once: int = 1) -> str | None:
    """What is said after ends, `x` of the infrastructure and `.` any other."""
    health = Health(at_once)
    for end in ends:
        health.ended("the daemon said no" if end == "x" else None)
    return health.broken


def test_a_few_ends_are_an_accident() -> None:
    assert broken_after("") is None
    assert broken_after("xxx") is None
    assert broken_after("x." * 3) is None


def test_four_are_none_where_they_are_more_than_a_quarter() -> None:
    said = broken_after("xxxx")
    assert said is not None
    assert said.startswith("this machine is broken: 4 of 4 executions ended for a reason of the")
    assert said.endswith("the daemon said no")
    assert broken_after("x..x..x..x") is not None
    assert broken_after("x...x...x...x...") is None  # a quarter, and no more than that


def test_in_a_long_run_now_and_then_stays_an_accident() -> None:
    assert broken_after("x........." * 50) is None


def test_what_one_event_takes_along_is_one_event() -> None:
    assert broken_after("x" * 8, at_once=8) is None
    assert broken_after("x" * 15, at_once=8) is None
    assert broken_after("x" * 16, at_once=8) is not None
