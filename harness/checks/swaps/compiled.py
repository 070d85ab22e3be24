"""A step compiled for a GPU that is not there, beside the control's: what it would take there.

The virtual accelerator shows that swaps are executed and that they free memory. On a GPU the
compiler decides when a copy begins, and all of them may be back before the first is needed. So the
compiled program has to take less than the control's as well, by as much as NVML has to see.
"""

from __future__ import annotations

from dataclasses import replace

from harness.base.text import mib
from harness.checks.swaps import gpu, step
from harness.checks.swaps.verdict import Verdict, Word, peaks
from harness.record.checks import Number
from harness.record.facts import LogFacts, Trace


def judge(role: str, by_trace: Verdict, facts: LogFacts, control_facts: LogFacts) -> Verdict:
    """The verdict of a trace, and where that confirms, whether the compiled program agrees.

    Where neither the step nor the control's was compiled for a GPU it is the trace's.
    """
    ours, theirs = step.trace(facts, role), step.trace(control_facts, role)
    if ours is None or theirs is None or not (ours.compiled_for or theirs.compiled_for):
        return by_trace
    measured = {**by_trace.numbers, **_numbers(ours, theirs)}
    if by_trace.word != "confirmed":
        return replace(by_trace, numbers=measured)
    word, words = _judged(ours, theirs)
    if word == "confirmed":
        return replace(by_trace, message=f"{by_trace.message}; {words}", numbers=measured)
    return Verdict(word, f"{words}; by trace {by_trace.message}", measured, by_trace.lines)


def _judged(ours: Trace, theirs: Trace) -> tuple[Word, str]:
    target = ours.compiled_for or theirs.compiled_for
    where = f"compiled for {target}"
    if ours.compiled_for != theirs.compiled_for:
        lacking = "the control" if theirs.compiled_for is None else "it"
        if ours.compiled_for and theirs.compiled_for:
            return "inconclusive", f"{where}, and the control for {theirs.compiled_for}"
        return "inconclusive", f"{where}: {lacking} was not (a note of the phase says why)"
    if not (ours.compiled_swap_out and ours.compiled_swap_in):
        return "refuted", f"{where} it copies nothing to the host and back"
    if theirs.compiled_swap_out or theirs.compiled_swap_in:
        return "inconclusive", f"{where} the control copies to the host too"
    swapped, control = ours.compiled_peak, theirs.compiled_peak
    words = (
        f"{peaks(swapped, control)}, {mib(ours.compiled_bytes_out)} out and"
        f" {mib(ours.compiled_bytes_in)} in, {mib(ours.compiled_host_peak)} on the host"
    )
    if swapped is None or control is None:
        return "inconclusive", f"{where}: {words}"
    if control - swapped > max(gpu.PEAK_SHARE * control, gpu.PEAK_BYTES):
        return "confirmed", f"{where}: {words}"
    if control < gpu.LEAST_ACTIVATIONS:
        return "inconclusive", f"{where}: {gpu.too_small(control)}: {words}"
    return "refuted", f"{where} the peak does not fall: {words}"


def _numbers(ours: Trace, theirs: Trace) -> dict[str, Number]:
    return {
        "compiled_peak_bytes": ours.compiled_peak,
        "control_compiled_peak_bytes": theirs.compiled_peak,
        "compiled_host_peak_bytes": ours.compiled_host_peak,
        "compiled_swap_out": ours.compiled_swap_out,
        "compiled_swap_in": ours.compiled_swap_in,
        "compiled_out_bytes": ours.compiled_bytes_out,
        "compiled_in_bytes": ours.compiled_bytes_in,
    }
