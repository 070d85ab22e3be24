"""A step over time, and what is marked of it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from common import marker
from harness.logs import markers
from harness.record.times import StepSeries as Read
from meters.measurement import Points, StepSeries, live, thinned
from tests import reductions


def reduced(t: list[int], value: list[int], most: int) -> tuple[list[int], list[int]]:
    found = Points(t, value).reduced(most)
    return found.at, found.bytes


@given(reductions.series(), reductions.MOST)
def test_no_peak_is_lost(told: reductions.Told, most: int) -> None:
    reductions.loses_no_peak(reduced, told, most)


@given(st.lists(st.integers(0, 10**9), max_size=700).map(sorted), st.integers(2, 300))
def test_of_many_moments_the_first_and_the_last_stay(times: list[int], most: int) -> None:
    kept = thinned(times, most)
    assert len(kept) == min(len(times), most)
    assert kept == sorted(kept)
    assert kept[:1] + kept[-1:] == times[:1] + times[-1:]
    assert set(kept) <= set(times)


def test_what_is_alive_is_the_sum_of_what_came_before() -> None:
    points = live([(2_000, 100), (3_500, -60), (3_500, 70), (9_000, -110)], 1_000, 1_000)
    assert points == Points([0, 1, 2, 2, 8], [0, 100, 40, 110, 0])
    assert points.peak == 110


@given(reductions.series(), st.lists(st.integers(0, 10**6), max_size=900))
def test_whatever_a_step_did_its_marker_is_short_and_is_read(
    told: reductions.Told, moves: list[int]
) -> None:
    points = Points(*told)
    largest = [(f"tensor {number} " + "x" * 200, number) for number in range(40)]
    step = StepSeries("microseconds", 10**6, points, points, moves, moves, largest, began=5.0)
    line = marker.format_line("series", function="train", meter="allocations", **step.fields())
    assert len(line) < 20_000  # what JUnit shows of the end of a log
    assert json.loads(line.partition(" ")[2])
    read = markers.fact(line.encode().partition(b":::LMS")[2], 1).fact
    assert isinstance(read, Read)
    assert read.accelerator is not None
    assert max(read.accelerator.bytes) == points.peak
    assert [tensor.bytes for tensor in read.largest] == list(range(39, 29, -1))
    assert read.swap_out == read.swap_in == sorted(read.swap_out)
