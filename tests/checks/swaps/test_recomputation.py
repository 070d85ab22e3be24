"""Whether a step computes again in place of moving: of traces, and of NVML's samples."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.swaps import gpu, recomputation
from harness.record.facts import LogFacts, Trace

MIB = 2**20
GIB = 2**30


def facts(peak: int | None, **fields: Any) -> LogFacts:
    base: dict[str, Any] = {
        "function": "train",
        "batch": 128,
        "meter": "allocations",
        "swap_out": 0,
        "swap_in": 0,
        "bytes_out": 0,
        "bytes_in": 0,
        "peak_accelerator": peak,
        "line": 7,
    }
    return LogFacts(markers=5, done=True, traces=[Trace(**{**base, **fields})])


def samples(peak: int, **fields: Any) -> dict[str, Any]:
    base = {"n": 40, "max_gap_s": 0.05, "process_peak": peak, "memory_version": 2}
    return {**base, **fields}


def test_a_peak_that_fell_and_no_byte_is_confirmed() -> None:
    verdict = recomputation.judge("train", facts(92 * MIB), facts(120 * MIB))
    assert verdict.word == "confirmed"
    assert "peak 92.0 MiB, control 120.0 MiB" in verdict.message
    assert "nothing moved (meter allocations)" in verdict.message
    assert [line for line, _ in verdict.lines] == [7, 7]


@pytest.mark.parametrize("peak", [120 * MIB, 130 * MIB, 120 * MIB - 64 * 1024])
def test_a_peak_that_did_not_fall_is_refuted(peak: int) -> None:
    verdict = recomputation.judge("train", facts(peak), facts(120 * MIB))
    assert verdict.word == "refuted"
    assert verdict.message.startswith("the peak did not fall: ")


@pytest.mark.parametrize(
    "moved",
    [{"bytes_out": MIB}, {"bytes_in": MIB}, {"swap_out": 1}, {"swap_in": 1, "bytes_in": None}],
)
def test_what_moves_is_refuted_however_low_the_peak(moved: dict[str, Any]) -> None:
    verdict = recomputation.judge("train", facts(92 * MIB, **moved), facts(120 * MIB))
    assert verdict.word == "refuted"
    assert verdict.message.startswith("it is to compute again, and moved ")


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (LogFacts(), facts(120 * MIB), "no trace of a train step"),
        (facts(92 * MIB), LogFacts(), "no trace of a train step of the control"),
        (facts(92 * MIB, function="predict"), facts(120 * MIB), "no trace of a train step"),
        (facts(None), facts(120 * MIB), "peak ? MiB, control 120.0 MiB"),
        (facts(92 * MIB), facts(None), "peak 92.0 MiB, control ? MiB"),
    ],
)
def test_what_is_not_known_is_no_verdict(ours: LogFacts, theirs: LogFacts, message: str) -> None:
    verdict = recomputation.judge("train", ours, theirs)
    assert verdict.word == "inconclusive"
    assert message in verdict.message


@pytest.mark.parametrize(
    ("ours", "theirs", "word", "reason"),
    [
        (2 * GIB, 4 * GIB, "confirmed", "the peak fell"),
        (4 * GIB, 4 * GIB, "inconclusive", gpu.IN_THE_STEP_ALONE),
        (5 * GIB, 4 * GIB, "refuted", "the peak rose"),
    ],
)
def test_on_a_gpu_the_peak_is_nvmls(ours: int, theirs: int, word: str, reason: str) -> None:
    traces = facts(2 * GIB), facts(4 * GIB)
    verdict = recomputation.judge_gpu("train", *traces, samples(ours), samples(theirs))
    assert verdict.word == word
    assert verdict.message.startswith(f"{reason}: process peak ")
    assert "by trace confirmed: " in verdict.message
    assert verdict.numbers["nvml_saved_bytes"] == theirs - ours


def test_on_a_gpu_a_peak_that_stayed_refutes_where_no_trace_shows_another() -> None:
    traces = facts(None), facts(4 * GIB)
    verdict = recomputation.judge_gpu("train", *traces, samples(4 * GIB), samples(4 * GIB))
    assert verdict.word == "refuted"
    assert verdict.message.startswith("the peak did not fall: process peak ")


def test_on_a_gpu_a_trace_that_refutes_is_enough() -> None:
    traces = facts(4 * GIB), facts(4 * GIB)
    verdict = recomputation.judge_gpu("train", *traces, samples(2 * GIB), samples(4 * GIB))
    assert verdict == recomputation.judge("train", *traces)
    assert verdict.word == "refuted"


def test_on_a_gpu_a_small_model_and_bad_samples_prove_nothing() -> None:
    small = facts(90 * MIB), facts(gpu.LEAST_ACTIVATIONS - MIB)
    same = samples(2 * GIB)
    verdict = recomputation.judge_gpu("train", *small, same, same)
    assert verdict.word == "inconclusive"
    assert "the model is too small for its peak to show" in verdict.message
    for bad in (None, samples(GIB, n=3), samples(GIB, error="gone"), samples(GIB, max_gap_s=9.0)):
        verdict = recomputation.judge_gpu("train", facts(2 * GIB), facts(4 * GIB), bad, same)
        assert verdict.word == "inconclusive"
        assert verdict.message.endswith("(meter NVML)")
