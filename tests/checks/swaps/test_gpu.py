"""What the bus, NVML's peak and a traced step say together: every combination, and its verdict."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.swaps import gpu, step
from harness.record.facts import Edit, LogFacts, Trace

MIB = 2**20
A_STEP = 700 * MIB
STEPS = 10
HELD = 1_536 * MIB  # by the control's step: enough for its peak to show
CONTROL_PEAK, CONTROL_SENT = 2_000 * MIB, 100 * MIB

# What each meter can say: bytes sent beyond the control's in parts of what swapping moves; NVML's
# peak; the trace of a step.
SENT = {"right": 1.0, "few": 0.02, "many": 5.0, "unknown": None}
PEAKS = {"fell": 1_000, "stayed": 2_000, "rose": 2_500, "unknown": None}
TRACES: dict[str, dict[str, Any] | None] = {
    "confirms": {},
    "confirms in the program": {"meter": step.COMPILED},
    "cannot tell": {"peak_accelerator": None},
    "is missing": None,
    "refutes": {"swap_out": 0},
}
# Of a training step, by what the peak did: fell, stayed, rose, unknown. C: confirmed, R: refuted,
# I: inconclusive.
VERDICTS = """
trace                   | bus                | verdicts
confirms                | counters, right    | C I R I
confirms                | counters, few      | R R R R
confirms                | counters, many     | R R R R
confirms                | throughput, right  | C I R I
confirms                | throughput, few    | I I R I
confirms                | throughput, many   | I I R I
confirms                | unknown            | C I R I
confirms in the program | counters, right    | C I R I
confirms in the program | counters, few      | R R R R
confirms in the program | counters, many     | R R R R
confirms in the program | throughput, right  | C I R I
confirms in the program | throughput, few    | I I R I
confirms in the program | throughput, many   | I I R I
confirms in the program | unknown            | I I R I
cannot tell             | counters, right    | C R R I
cannot tell             | counters, few      | R R R R
cannot tell             | counters, many     | R R R R
cannot tell             | throughput, right  | C R R I
cannot tell             | throughput, few    | I R R R
cannot tell             | throughput, many   | I R R R
cannot tell             | unknown            | I I R I
is missing              | counters, right    | C R R I
is missing              | counters, few      | R R R R
is missing              | throughput, right  | C R R I
is missing              | throughput, few    | I R R R
is missing              | unknown            | I I R I
refutes                 | counters, right    | R R R R
refutes                 | counters, few      | R R R R
refutes                 | counters, many     | R R R R
refutes                 | throughput, right  | R R R R
refutes                 | throughput, few    | R R R R
refutes                 | throughput, many   | R R R R
refutes                 | unknown            | R R R R
"""
# Of a prediction, whose peak need not fall.
PREDICTIONS = """
confirms                | counters, right    | C C R C
confirms                | counters, few      | R R R R
confirms                | throughput, few    | I I R I
confirms                | unknown            | C C R C
confirms in the program | counters, right    | C C R C
confirms in the program | unknown            | I I R I
is missing              | counters, right    | C C R C
is missing              | counters, few      | R R R R
is missing              | unknown            | I I R I
refutes                 | counters, right    | R R R R
refutes                 | unknown            | R R R R
"""
WORDS = {"C": "confirmed", "R": "refuted", "I": "inconclusive"}


def combinations(table: str) -> list[tuple[str, str, str, str]]:
    rows = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return [
        (trace, bus, peak, WORDS[letter])
        for trace, bus, verdicts in rows
        if verdicts != "verdicts"
        for peak, letter in zip(PEAKS, verdicts.split(), strict=True)
    ]


def traced(role: str, **fields: Any) -> Trace:
    base: dict[str, Any] = {
        "function": role,
        "meter": "allocations",
        "swap_out": 12,
        "swap_in": 12,
        "bytes_out": A_STEP,
        "bytes_in": A_STEP,
        "peak_accelerator": 1_000 * MIB,
        "steps": STEPS,
        "line": 7,
    }
    return Trace(**{**base, **fields})


def facts(traces: list[Trace], reported: bool) -> LogFacts:
    said = Edit(
        source="marker", operations=24, swap_out=12, swap_in=12, bytes_out=A_STEP, line=3, text="e"
    )
    return LogFacts(markers=5, done=True, edits=[said] if reported else [], traces=traces)


def samples(peak: int | None, sent: float | None, source: str, **fields: Any) -> dict[str, Any]:
    base = {
        "n": 200,
        "max_gap_s": 0.06,
        "memory_version": 2,
        "foreign_pids": [],
        "process_peak": peak,
        "pcie_tx_bytes": sent,
        "pcie_source": source,
        "pcie_exact": source == "counters",
    }
    return {**base, **fields}


def judged(
    role: str,
    trace: str,
    bus: str,
    peak: str,
    reported: bool = True,
    held: int | None = HELD,
    **ours: Any,
) -> gpu.Verdict:
    source, _, moved = bus.rpartition(", ")
    share = SENT[moved]
    sent = None if share is None else CONTROL_SENT + share * A_STEP * STEPS
    fields, used = TRACES[trace], PEAKS[peak]
    none: dict[str, Any] = {"swap_out": 0, "swap_in": 0, "bytes_out": 0, "bytes_in": 0}
    return gpu.judge(
        role,
        facts([] if fields is None else [traced(role, **fields)], reported),
        facts([traced(role, **none, peak_accelerator=held)], reported=False),
        samples(None if used is None else used * MIB, sent, source, **ours),
        samples(CONTROL_PEAK, CONTROL_SENT, source),
    )


@pytest.mark.parametrize(("trace", "bus", "peak", "word"), combinations(VERDICTS))
def test_a_training(trace: str, bus: str, peak: str, word: str) -> None:
    verdict = judged("train", trace, bus, peak)
    assert verdict.word == word, verdict.message
    # What LMS says of itself changes nothing, but where nobody else tells the bytes of a step.
    silent = judged("train", trace, bus, peak, reported=False)
    if trace == "is missing":
        assert silent.word == ("refuted" if peak == "rose" else "inconclusive"), silent.message
    else:
        assert silent.word == word, silent.message


@pytest.mark.parametrize(("trace", "bus", "peak", "word"), combinations(PREDICTIONS))
def test_a_prediction(trace: str, bus: str, peak: str, word: str) -> None:
    verdict = judged("predict", trace, bus, peak)
    assert verdict.word == word, verdict.message


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("bus", ["counters, right", "throughput, few", "unknown"])
def test_a_model_that_is_too_small_is_refuted_by_no_peak_that_stayed(trace: str, bus: str) -> None:
    verdict = judged("train", trace, bus, "stayed", held=1_023 * MIB)
    refuted = trace == "refutes" or (bus == "throughput, few" and "confirms" not in trace)
    assert verdict.word == ("refuted" if refuted else "inconclusive"), verdict.message


def test_two_meters_that_contradict_are_named() -> None:
    verdict = judged("train", "confirms", "unknown", "stayed")
    assert "the peak fell in the step that was traced, and not by NVML" in verdict.message
    assert "PCIe bytes not known" in verdict.message
    assert "by trace confirmed" in verdict.message
    verdict = judged("train", "confirms", "throughput, few", "fell")
    assert "by an estimate that another meter contradicts" in verdict.message


def test_a_counter_that_may_have_wrapped_is_a_least() -> None:
    exact = judged("train", "is missing", "counters, few", "fell")
    assert exact.word == "refuted"
    wrapped = judged("train", "is missing", "counters, few", "fell", pcie_exact=False)
    assert wrapped.word == "inconclusive"
    assert "may have wrapped" in wrapped.message
    # As many as swapping moves are enough, and too many are too many, whatever is missing.
    assert judged("train", "is missing", "counters, right", "fell", pcie_exact=False).word == (
        "confirmed"
    )
    assert judged("train", "confirms", "counters, many", "fell", pcie_exact=False).word == (
        "refuted"
    )
