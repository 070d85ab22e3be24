"""A bisect as text, and what differs between two package sets."""

from __future__ import annotations

import pytest

from harness.bisect import bisection
from harness.bisect.bisection import Bisection, Change
from harness.bisect.trial import Trial, Verdict
from harness.record.checks import CheckId


def trial(version: str, verdict: Verdict, *packages: str, number: int = 1) -> Trial:
    return Trial(
        version=version, number=number, verdict=verdict, packages=list(packages),
        message=f"what {version} says", seconds=12.34,
    )  # fmt: skip


def searched(*trials: Trial, state: str = "found", **more: object) -> Bisection:
    return Bisection(
        id="0", state=state, started="now", package="keras", flavor="f", family="b", scenario="s",
        engine="venv", accelerator="virtual", provider="builtin", check=CheckId.EDIT_TOOK_EFFECT,
        versions=["1.0", "1.1", "1.2", "1.10"], trials=list(trials), **more,
    )  # fmt: skip


def test_the_table_the_place_and_what_changed_there() -> None:
    old, new = ("keras==1.1", "numpy==1"), ("keras==1.2", "scipy==3", "numpy==1")
    found = searched(
        trial("1.10", Verdict.BAD, *new),
        trial("1.0", Verdict.GOOD, *old),
        trial("1.2", Verdict.BAD, *new),
        trial("1.1", Verdict.GOOD, *old),
    ).placed()
    shown = list(bisection.lines(found))
    assert shown[0] == "keras 1.0 to 1.10, 4 versions: f.b.s, 'edit took effect'"
    assert shown[1].split() == ["version", "verdict", "package", "set", "seconds", "message"]
    assert [line.split()[0] for line in shown[2:6]] == ["1.0", "1.1", "1.2", "1.10"]
    assert shown[3].endswith("  12.3     what 1.1 says")
    assert shown[6:] == [
        "first bad version: keras 1.2; 1.1 is good",
        "packages of 1.1 and of 1.2:",
        "  keras 1.1 -> 1.2",
        "  scipy (none) -> 3",
    ]


def test_no_package_set_is_compared_with_none() -> None:
    assert bisection.changes([], ["a==1"]) == []
    assert bisection.changes(["A_b==1", "c==1"], ["a-b==2"]) == [
        Change(name="a-b", last="1", first="2"),
        Change(name="c", last="1", first=None),
    ]


@pytest.mark.parametrize(
    ("state", "code"),
    [("found", 0), ("range", 2), ("not judged", 2), ("aborted", 2), ("interrupted", 130)],
)
def test_exit_codes(state: str, code: int) -> None:
    assert bisection.exit_code(searched(state=state)) == code


def test_ends_are_known_when_both_were_tried_twice() -> None:
    twice = [
        trial(version, verdict, number=number)
        for version, verdict in (("1.0", Verdict.GOOD), ("1.10", Verdict.BAD))
        for number in (1, 2)
    ]
    assert bisection.ends_known(searched(*twice))
    assert not bisection.ends_known(searched(*twice[:3]))
    assert not bisection.ends_known(searched(*twice, fixed=True))
