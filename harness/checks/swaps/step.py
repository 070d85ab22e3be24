"""One traced step: what LMS says of it, what was executed, and the same step of the control.

The meter is the framework's own record of one step. What it counts in the text of a compiled
program is called that: how often the program ran is another matter.
"""

from __future__ import annotations

from harness.base.text import mib
from harness.checks.swaps import self_report
from harness.checks.swaps.verdict import Verdict, Word, peaks
from harness.record.checks import Number
from harness.record.facts import Edit, LogFacts, Trace

# The peak has to fall by more than both; a smaller difference may be the order of operations.
FALL = (0.01, 64 * 1024)  # part of the control's peak, bytes
COMPILED = "compiled program"


def trace(facts: LogFacts, function: str) -> Trace | None:
    """The last trace of a step of this function."""
    found = [entry for entry in facts.traces if entry.function == function]
    return found[-1] if found else None


def judge(role: str, facts: LogFacts, control_facts: LogFacts) -> Verdict:
    """Whether a step of this role swapped, and the control's did not.

    Bytes and, in training, a peak that fell: a forward pass has few tensors that are far apart.
    """
    ours, theirs = trace(facts, role), trace(control_facts, role)
    claimed = self_report.largest(facts)
    if ours is None:
        return Verdict("inconclusive", f"no trace of a {role} step", {})
    found = numbers(ours, theirs, claimed)
    lines = [(ours.line, words(ours))]
    if claimed is not None:
        lines.append((claimed.line, claimed.text))

    def verdict(word: Word, message: str) -> Verdict:
        return Verdict(word, f"{message} (meter {ours.meter})", found, tuple(lines))

    unknown = [name for name in ("swap_out", "swap_in") if getattr(ours, name) is None]
    if unknown:
        return verdict("inconclusive", f"the trace does not know {' and '.join(unknown)}")
    swap_out, swap_in = ours.swap_out or 0, ours.swap_in or 0
    where = "in the program" if ours.meter == COMPILED else "executed in a step"
    executed = f"{swap_out:,} swap-out and {swap_in:,} swap-in {where}"
    if claimed is not None:
        executed += f" ({claimed.swap_out:,} and {claimed.swap_in:,} added)"
    if swap_out == 0 or swap_in == 0:
        return verdict("refuted", executed)
    disagreement = self_report.disagreement(facts, ours)
    if disagreement is not None:
        return verdict("refuted", f"{disagreement}; {executed}")
    moved = [size for size in (ours.bytes_out, ours.bytes_in) if size is not None]
    if not moved:
        return verdict("inconclusive", f"{executed}, bytes moved not known")
    if sum(moved) == 0:
        return verdict("refuted", f"{executed}, but no byte moved")
    executed += f", {mib(ours.bytes_out)} out and {mib(ours.bytes_in)} in"
    if theirs is None:
        return verdict("inconclusive", f"{executed}; the control has no trace")
    if theirs.swap_out is None or theirs.swap_in is None:
        return verdict("inconclusive", f"{executed}; the control's trace does not count swaps")
    if theirs.swap_out or theirs.swap_in:
        return verdict(
            "inconclusive",
            f"the control is broken, it swapped too ({theirs.swap_out:,} out,"
            f" {theirs.swap_in:,} in); {executed}",
        )
    swapped, unswapped = ours.peak_accelerator, theirs.peak_accelerator
    if role != "train":
        shown = "" if swapped is None else f"; {peaks(swapped, unswapped)}"
        return verdict("confirmed", f"{executed}, none in the control{shown}")
    if swapped is None or unswapped is None:
        return verdict("inconclusive", f"{executed}; {peaks(swapped, unswapped)}")
    if fell(swapped, unswapped):
        return verdict("confirmed", f"{peaks(swapped, unswapped)}; {executed}")
    return verdict("refuted", f"the peak did not fall: {peaks(swapped, unswapped)}; {executed}")


def fell(swapped: int, control: int) -> bool:
    """Whether a peak is below the control's by more than the order of operations can make it."""
    return control - swapped > max(FALL[0] * control, FALL[1])


def held(control_facts: LogFacts, role: str) -> int | None:
    """Bytes that a step of the control holds at its peak, or None if that is not known."""
    control = trace(control_facts, role)
    return None if control is None else control.peak_accelerator


def numbers(ours: Trace, theirs: Trace | None, claimed: Edit | None = None) -> dict[str, Number]:
    """What a step and the control's took and moved, for machines."""
    numbers: dict[str, Number] = {
        "executed_swap_out": ours.swap_out,
        "executed_swap_in": ours.swap_in,
        "moved_out_bytes": ours.bytes_out,
        "moved_in_bytes": ours.bytes_in,
        "peak_bytes": ours.peak_accelerator,
        "peak_host_bytes": ours.peak_host,
        "lower_bound_bytes": ours.lower_bound,
        "step_ms": ours.step_ms,
    }
    if theirs is not None:
        numbers["control_peak_bytes"] = theirs.peak_accelerator
        numbers["control_peak_host_bytes"] = theirs.peak_host
        numbers["control_step_ms"] = theirs.step_ms
        if ours.peak_accelerator is not None and theirs.peak_accelerator is not None:
            numbers["saved_bytes"] = theirs.peak_accelerator - ours.peak_accelerator
    for whose, entry in (("", ours), ("control_", theirs)):
        if entry is not None and entry.allocator_peak is not None:
            numbers[f"{whose}allocator_peak_bytes"] = entry.allocator_peak
            numbers[f"{whose}allocator_pool_bytes"] = entry.allocator_pool
    if claimed is not None:
        numbers["added_swap_out"] = claimed.swap_out
        numbers["added_swap_in"] = claimed.swap_in
    return numbers


def words(entry: Trace) -> str:
    """A trace as a line."""
    return (
        f"trace of a {entry.function} step: {_known(entry.swap_out)} swap-out"
        f" ({mib(entry.bytes_out)}), {_known(entry.swap_in)} swap-in ({mib(entry.bytes_in)}),"
        f" peak {mib(entry.peak_accelerator)} on the accelerator,"
        f" {mib(entry.peak_host)} on the host"
    )


def _known(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
