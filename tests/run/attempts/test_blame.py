"""Whose fault an end is, and what is worth another attempt."""

from __future__ import annotations

import pytest

from harness.base.error import EngineError
from harness.engine.protocol import Exit
from harness.measure import gpu
from harness.measure.gpu import GpuBusyError
from harness.record.facts import LogFacts, Problem
from harness.record.models import BUG, Outcome
from harness.run.attempts import blame

ECC = Problem(
    kind="traceback", line=3, text="RuntimeError: CUDA error: uncorrectable ECC error encountered"
)


def test_a_gpu_that_is_gone_or_busy_is_no_reason_against_another_one() -> None:
    for problem in (GpuBusyError("GPU x still has 9 MiB"), gpu.error_for(gpu.GPU_IS_LOST, "GPU x")):
        ended = blame.exit_of(problem)
        assert (ended.outcome, ended.transient) == (Outcome.ENGINE_ERROR, True)
        assert blame.again(ended, LogFacts(), True) == ended.reason


def test_what_else_is_raised_counts() -> None:
    copied = blame.exit_of(EngineError("could not copy artifacts of x: it left no directory"))
    assert (copied.outcome, blame.again(copied, LogFacts(), True)) == (Outcome.ENGINE_ERROR, None)
    bug = blame.exit_of(KeyError("x"))
    assert BUG in bug.details
    assert blame.again(bug, LogFacts(), True) is None


@pytest.mark.parametrize("on_gpu", [True, False])
def test_a_signature_and_a_promise_count_on_a_gpu_alone(on_gpu: bool) -> None:
    failed = Exit(Outcome.FAILED, 1, "exit code 1")
    said = blame.again(failed, LogFacts(problems=[ECC]), on_gpu)
    assert said == ("the GPU's memory is damaged: exit code 1" if on_gpu else None)
    promised = Exit(Outcome.ENGINE_ERROR, 3, "error: torch sees no GPU")
    assert blame.again(promised, LogFacts(), on_gpu) == (promised.reason if on_gpu else None)


def test_an_end_that_is_transient_is_tried_again_everywhere() -> None:
    away = Exit(Outcome.ENGINE_ERROR, None, "the daemon went away", transient=True)
    assert blame.again(away, LogFacts(), False) == "the daemon went away"
