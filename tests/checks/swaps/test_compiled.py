"""A step compiled for a GPU that is not there: a second opinion on one that is confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.swaps import compiled, step
from harness.checks.swaps.verdict import Verdict
from harness.record.facts import LogFacts, Trace

MIB = 2**20
H100 = "NVIDIA H100"
# Of the MNIST model at a batch of 3,072; XLA's own timing of the copies saves 79 MiB of it.
CONTROL = {"compiled_for": H100, "compiled_peak": 2_441 * MIB, "compiled_host_peak": 0}
CONTROL |= {"compiled_swap_out": 0, "compiled_swap_in": 0}
SWAPPED = {"compiled_for": H100, "compiled_peak": 1_838 * MIB, "compiled_host_peak": 995 * MIB}
SWAPPED |= {"compiled_swap_out": 17, "compiled_swap_in": 17}
SWAPPED |= {"compiled_bytes_out": 995 * MIB, "compiled_bytes_in": 995 * MIB}
NONE: dict[str, Any] = dict.fromkeys(SWAPPED)


def facts(swaps: int, peak: int, fields: dict[str, Any], role: str = "train") -> LogFacts:
    moved = dict.fromkeys(("swap_out", "swap_in"), swaps)
    moved |= dict.fromkeys(("bytes_out", "bytes_in"), swaps * MIB)
    trace = Trace(
        function=role,
        meter=step.COMPILED,
        peak_accelerator=peak * MIB,
        line=1,
        **moved,
        **fields,
    )
    return LogFacts(traces=[trace])


def judged(ours: dict[str, Any], theirs: dict[str, Any], peak: int = 150) -> Verdict:
    swapped, control = facts(17, peak, ours), facts(0, 188, theirs)
    return compiled.judge("train", step.judge("train", swapped, control), swapped, control)


def test_a_peak_that_falls_on_both_confirms() -> None:
    found = judged(SWAPPED, CONTROL)
    assert found.word == "confirmed"
    assert found.message.startswith("peak 150.0 MiB, control 188.0 MiB")
    assert "compiled for NVIDIA H100: peak 1,838.0 MiB, control 2,441.0 MiB" in found.message
    assert found.numbers["compiled_peak_bytes"] == 1_838 * MIB
    assert found.numbers["control_compiled_peak_bytes"] == 2_441 * MIB
    assert found.numbers["compiled_host_peak_bytes"] == 995 * MIB
    assert found.numbers["peak_bytes"] == 150 * MIB


@pytest.mark.parametrize(
    ("ours", "theirs", "word", "words"),
    [
        # Every copy back began at the start of the backward pass: 0.97 of the control's.
        (
            {"compiled_peak": 2_399 * MIB},
            {"compiled_peak": 2_478 * MIB},
            "refuted",
            "compiled for NVIDIA H100 the peak does not fall",
        ),
        ({"compiled_peak": 2_441 * MIB}, {}, "refuted", "the peak does not fall"),
        ({"compiled_swap_out": 0, "compiled_swap_in": 0}, {}, "refuted", "it copies nothing"),
        ({"compiled_swap_in": 0}, {}, "refuted", "it copies nothing"),
        # What nobody can tell is no pass.
        (NONE, {}, "inconclusive", "it was not (a note of the phase says why)"),
        ({}, NONE, "inconclusive", "the control was not"),
        ({}, {"compiled_for": "another"}, "inconclusive", "the control for another"),
        ({"compiled_peak": None}, {}, "inconclusive", "peak ? MiB"),
        ({}, {"compiled_swap_out": 1}, "inconclusive", "the control copies"),
        (
            {"compiled_peak": 100 * MIB},
            {"compiled_peak": 103 * MIB},
            "inconclusive",
            "the model is too small",
        ),
    ],
)
def test_one_that_does_not_agree(
    ours: dict[str, Any], theirs: dict[str, Any], word: str, words: str
) -> None:
    found = judged({**SWAPPED, **ours}, {**CONTROL, **theirs})
    assert found.word == word
    assert words in found.message
    assert "by trace peak 150.0 MiB, control 188.0 MiB" in found.message
    assert len(found.lines) == 1


def test_the_trace_alone_decides_where_nothing_was_compiled() -> None:
    found = judged({}, {})
    assert found.word == "confirmed"
    assert "compiled for" not in found.message
    assert "compiled_peak_bytes" not in found.numbers


def test_what_the_trace_refutes_no_program_confirms() -> None:
    found = judged(SWAPPED, CONTROL, peak=188)
    assert found.word == "refuted"
    assert found.message.startswith("the peak did not fall: peak 188.0 MiB")
    assert found.numbers["compiled_peak_bytes"] == 1_838 * MIB


def test_what_the_allocators_say_is_among_the_numbers() -> None:
    ours, theirs = {"allocator_peak": 1, "allocator_pool": 2}, {"allocator_peak": 3}
    found = judged(ours, theirs).numbers
    assert (found["allocator_peak_bytes"], found["allocator_pool_bytes"]) == (1, 2)
    assert found["control_allocator_peak_bytes"] == 3
    assert "allocator_peak_bytes" not in judged({}, {}).numbers
