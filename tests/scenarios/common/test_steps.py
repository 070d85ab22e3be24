"""Steps that a phase has run, and what is no longer known of them."""

from __future__ import annotations

import pytest

from common.steps import Steps, batches


def test_steps_of_each_function_add_up() -> None:
    steps = Steps()
    steps.ran("train", 3)
    steps.ran("train")
    steps.ran("predict")
    assert (steps.of("train"), steps.of("predict")) == (4, 1)


def test_what_is_not_known_once_stays_so() -> None:
    steps = Steps()
    steps.ran("train", None)
    steps.ran("train", 3)
    assert steps.of("train") is None
    assert steps.of("predict") == 0


def test_each_call_counts_once_it_has_returned() -> None:
    steps = Steps()

    def run(value: int, fails: bool = False) -> int:
        if fails:
            raise ArithmeticError
        return value

    counted = steps.counted("train", run, steps=2)
    assert [counted(5), counted(value=6)] == [5, 6]
    with pytest.raises(ArithmeticError):
        counted(7, fails=True)
    assert steps.of("train") == 4


@pytest.mark.parametrize(("examples", "expected"), [(128, 1), (129, 2), (256, 2), (1, 1)])
def test_the_last_batch_may_be_smaller(examples: int, expected: int) -> None:
    assert batches(examples, 128) == expected
