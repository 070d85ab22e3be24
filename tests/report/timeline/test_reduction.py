"""Fewer points, and every peak still there."""

from __future__ import annotations

from hypothesis import given

from harness.report.timeline.reduction import reduced
from tests import reductions


@given(reductions.series(), reductions.MOST)
def test_no_peak_is_lost(told: reductions.Told, most: int) -> None:
    reductions.loses_no_peak(reduced, told, most)


def test_a_spike_of_one_sample_among_a_million_stays() -> None:
    value = [10.0] * 1_000_000
    value[654_321] = 99.0
    t, kept = reduced([place / 20 for place in range(len(value))], value)
    assert len(t) <= 400
    assert kept[t.index(654_321 / 20)] == 99.0
