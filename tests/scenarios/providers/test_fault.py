"""Faults of a provider: as they are written, and which swaps are lost."""

from __future__ import annotations

import pytest

from harness.catalog import catalog
from harness.plan import sensitivity
from providers.fault import KINDS, LOST, ORDERS, Fault
from tests.paths import ROOT

SIZES = [5, 1, 9, 3, 7, 2, 8, 4, 6, 10]


@pytest.mark.parametrize(
    ("percent", "order", "sizes"),
    [
        (10, "largest", [10]),
        (10, "smallest", [1]),
        (30, "largest", [8, 9, 10]),
        (50, "smallest", [1, 2, 3, 4, 5]),
        (50, "evenly", [1, 2, 3, 4, 10]),
        (1, "smallest", [1]),
        (100, "evenly", sorted(SIZES)),
    ],
)
def test_so_many_are_lost_and_at_least_one(percent: int, order: str, sizes: list[int]) -> None:
    lost = Fault(LOST, percent, order).lost(SIZES)
    assert sorted(SIZES[position] for position in lost) == sizes


@pytest.mark.parametrize("percent", range(1, 101))
@pytest.mark.parametrize("count", [1, 2, 3, 17, 30])
def test_evenly_loses_as_many_as_the_others(percent: int, count: int) -> None:
    lost = {order: Fault(LOST, percent, order).lost([1] * count) for order in ("evenly", "largest")}
    assert len(lost["evenly"]) == len(lost["largest"]) >= 1
    assert all(0 <= position < count for position in lost["evenly"])


def test_nothing_is_lost_of_nothing_and_by_no_other_fault() -> None:
    assert not Fault(LOST, 50, "evenly").lost([])
    assert not Fault("element_wrong").lost(SIZES)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != LOST])
def test_a_fault_is_read_as_it_is_written(kind: str) -> None:
    assert Fault.parse(kind) == (kind, 0, "")
    assert Fault.parse("swaps_lost:25:largest") == (LOST, 25, "largest")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("slow", "LMS_FAULT is 'slow'; it must be one of swaps_lost, "),
        ("", "it must be one of"),
        ("swaps_lost", "it must be swaps_lost:<1 to 100>:<evenly|largest|smallest>"),
        ("swaps_lost:0:evenly", "it must be swaps_lost:"),
        ("swaps_lost:101:evenly", "it must be swaps_lost:"),
        ("swaps_lost:5:first", "it must be swaps_lost:"),
        ("swaps_lost:5:evenly:more", "it must be swaps_lost:"),
        ("element_wrong:3", "element_wrong takes nothing after it"),
    ],
)
def test_what_is_no_fault_is_refused_with_one_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="LMS_FAULT is") as refused:
        Fault.parse(text)
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_each_fault_of_a_provider_is_injected() -> None:
    injected = [Fault.parse(entry.fault) for entry in sensitivity.INJECTIONS]
    assert {entry.kind for entry in injected} == set(KINDS)
    lost = {(entry.percent, entry.order) for entry in injected if entry.kind == LOST}
    assert lost == {(p, order) for p in sensitivity.PERCENT for order in ORDERS}


def test_faults_of_the_catalog_are_known_to_the_providers() -> None:
    for scenario in catalog.load(ROOT).scenarios:
        for phase in scenario.phase:
            if phase.fault is not None:
                assert Fault.parse(phase.fault).kind in KINDS
