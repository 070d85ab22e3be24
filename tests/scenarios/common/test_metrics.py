"""How long a training step took."""

from __future__ import annotations

import pytest

from common import metrics


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # The first of six compiled for three seconds.
        ([3000.0, 11.0, 10.0, 12.0, 10.0, 50.0], 11.0),
        ([3000.0, 10.0, 12.0], 11.0),
        ([3000.0, 10.0], 10.0),
        ([3000.0], None),
        ([], None),
    ],
)
def test_the_first_step_is_none_that_is_timed(steps: list[float], expected: float | None) -> None:
    assert metrics.step_ms(steps) == expected
