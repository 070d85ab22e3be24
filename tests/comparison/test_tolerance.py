from __future__ import annotations

import pytest

from harness.base.text import MIB
from harness.comparison import tolerance
from harness.record.checks import CheckId
from tests import records

SWAPPING = CheckId.SWAPPING_CONFIRMED


def test_only_numbers_that_are_compared_are_kept():
    numbers = {
        **records.NUMBERS,
        "load.peak_bytes": 3,
        "load.lower_bound_bytes": 2,
        "saved_bytes": 1,
        "executed_swap_out": None,
        "step_ms": float("nan"),
        "moved_in_bytes": "many",
    }
    check = records.check(SWAPPING, numbers=numbers)
    assert list(tolerance.kept(check)) == [
        *("control_peak_bytes", "executed_swap_in", "load.lower_bound_bytes"),
        *("load.peak_bytes", "moved_out_bytes", "peak_bytes"),
    ]
    assert tolerance.kept(records.check(CheckId.RESULT_UNCHANGED, numbers={"peak_bytes": 1})) == {}


@pytest.mark.parametrize(
    ("name", "before", "after", "beyond"),
    [
        ("executed_swap_out", 100, 99, False),
        ("executed_swap_out", 100, 98, True),
        ("load.moved_out_bytes", 0, 1, True),
        ("moved_out_bytes", 0, 0, False),
        ("peak_bytes", 4 * MIB, 4.9 * MIB, False),  # less than a tensor
        ("peak_bytes", 400 * MIB, 425 * MIB, True),
        ("peak_host_bytes", 40 * MIB, 47 * MIB, False),
        ("nvml_peak_bytes", 300 * MIB, 319 * MIB, False),
        ("nvml_peak_bytes", 300 * MIB, 321 * MIB, True),
        ("step_ms", 1.0, 1.9, False),
        ("step_ms", 100.0, 126.0, True),
        ("step_ms", 100.0, 74.0, True),
    ],
)
def test_beyond_is_more_than_the_share_and_more_than_chance(name, before, after, beyond):
    share = tolerance.share(SWAPPING, name, {name: before})
    assert tolerance.beyond(SWAPPING, name, before, after, share) is beyond


def test_a_peak_whose_order_is_not_fixed_may_differ_by_more():
    fixed = {"load.peak_bytes": 110.0, "load.lower_bound_bytes": 100.0}
    loose = {"load.peak_bytes": 130.0, "load.lower_bound_bytes": 100.0}
    assert tolerance.share(SWAPPING, "load.peak_bytes", fixed) == 0.05
    assert tolerance.share(SWAPPING, "load.peak_bytes", loose) == 0.35
    assert tolerance.share(SWAPPING, "load.peak_bytes", {"load.peak_bytes": 130.0}) == 0.05
