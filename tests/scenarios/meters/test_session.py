"""How often a step in a session is measured until its peak is the graph's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meters import session
from meters.measurement import Measurement

BOUND, ABOVE = 100, 110


def measurements(peaks: list[int], swaps: int) -> Iterator[Measurement]:
    for peak in peaks:
        yield Measurement(peak, None, BOUND, swaps, swaps, 8 * swaps, 8 * swaps)


@pytest.mark.parametrize("misses", [0, 1, 9, 10, 28])
def test_a_step_that_swaps_is_measured_until_its_peak_is_at_the_bound(misses: int) -> None:
    tries = measurements([ABOVE] * misses + [BOUND] * 30, swaps=3)
    assert session._lowest(lambda: next(tries), optimised=True).accelerator_peak_bytes == BOUND
    assert len(list(tries)) == 29


@pytest.mark.parametrize(("swaps", "times"), [(3, 30), (0, 3)])
def test_a_peak_above_the_bound_is_the_lowest_of_several(swaps: int, times: int) -> None:
    tries = measurements([120, 130, ABOVE] + [125] * 40, swaps)
    assert session._lowest(lambda: next(tries), optimised=True).accelerator_peak_bytes == ABOVE
    assert len(list(tries)) == 43 - times


def test_a_graph_that_nothing_optimises_has_one_peak() -> None:
    tries = measurements([ABOVE, BOUND], swaps=3)
    assert session._lowest(lambda: next(tries), optimised=False).accelerator_peak_bytes == ABOVE
    assert len(list(tries)) == 1
