"""A provider that computes tensors again: the peak falls, and no byte moves.

The meters are those of swapping: the record of one step, and on a GPU NVML beside it.
"""

from __future__ import annotations

from harness.base.text import mib
from harness.checks.swaps import gpu, step
from harness.checks.swaps.gpu import Samples
from harness.checks.swaps.verdict import Verdict, Word, peaks
from harness.record.facts import LogFacts


def judge(role: str, facts: LogFacts, control_facts: LogFacts) -> Verdict:
    """Whether a step of this role took less than the control's, and moved nothing."""
    ours, theirs = step.trace(facts, role), step.trace(control_facts, role)
    if ours is None or theirs is None:
        whose = "" if ours is None else " of the control"
        return Verdict("inconclusive", f"no trace of a {role} step{whose}", {})
    numbers = step.numbers(ours, theirs)
    lines = ((ours.line, step.words(ours)), (theirs.line, step.words(theirs)))
    shown = peaks(ours.peak_accelerator, theirs.peak_accelerator)

    def verdict(word: Word, message: str) -> Verdict:
        return Verdict(word, f"{message} (meter {ours.meter})", numbers, lines)

    moved = (ours.bytes_out or 0) + (ours.bytes_in or 0)
    if moved or ours.swap_out or ours.swap_in:
        return verdict("refuted", f"it is to compute again, and moved {mib(moved)}; {shown}")
    swapped, unswapped = ours.peak_accelerator, theirs.peak_accelerator
    if swapped is None or unswapped is None:
        return verdict("inconclusive", shown)
    if step.fell(swapped, unswapped):
        return verdict("confirmed", f"{shown}; nothing moved")
    return verdict("refuted", f"the peak did not fall: {shown}; nothing moved")


def judge_gpu(
    role: str,
    facts: LogFacts,
    control_facts: LogFacts,
    ours: Samples | None,
    theirs: Samples | None,
) -> Verdict:
    """The same on a GPU.

    Args:
        ours, theirs: summaries of NVML's samples of the phase and of its control.
    """
    by_trace = judge(role, facts, control_facts)
    if by_trace.word == "refuted":
        return by_trace
    doubt = gpu.doubtful(ours, theirs)
    if doubt is not None or ours is None or theirs is None:
        message = f"{doubt} (meter NVML)"
        return Verdict("inconclusive", message, by_trace.numbers, by_trace.lines)
    memory = gpu.memory(ours, theirs)
    words: dict[str, tuple[Word, str]] = {
        "fell": ("confirmed", "the peak fell"),
        "rose": ("refuted", "the peak rose"),
        "unknown": ("inconclusive", "no peak is known"),
        "same": ("refuted", "the peak did not fall"),
    }
    word, reason = words[memory.peak]
    held = step.held(control_facts, role)
    if memory.peak == "same" and (held is None or held < gpu.LEAST_ACTIVATIONS):
        word, reason = "inconclusive", gpu.too_small(held)
    elif memory.peak == "same" and by_trace.word == "confirmed":
        word, reason = "inconclusive", gpu.IN_THE_STEP_ALONE
    return Verdict(
        word,
        f"{reason}: {memory.words} (meter NVML); by trace {by_trace.word}: {by_trace.message}",
        {**by_trace.numbers, **memory.numbers},
        by_trace.lines,
    )
