"""Check 7: swapping after the load is what it is where nothing was loaded.

Loading weights can freeze a part of the graph: swapping is still confirmed then, and most of it is
gone. So a step after the load is compared with a step of a reference that has loaded nothing: the
phase that saved, where its step is of the same model, batch and role, or a phase that the scenario
declares. Op for op the two are the same, and so are swaps, bytes and peak.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.base.text import MIB, mib
from harness.catalog.scenarios import Phase
from harness.checks import phases_complete
from harness.checks.evidence import Evidence
from harness.checks.finding import Finding, line, named, skipped, unjudged
from harness.checks.state_restored import digest
from harness.checks.swaps import gpu
from harness.checks.swaps.step import trace
from harness.record.checks import Number, Status
from harness.record.facts import Trace
from harness.record.models import Outcome, PhaseRecord

BYTES_SHARE = 0.01  # by which the bytes of a step may differ, each way
PEAK_SHARE = 0.05  # by which a peak may be above the reference's
# Or by so much. Which of the operations that are ready runs first is chance, and moves the peak by
# single tensors: all that counts in a model of less than a few MiB. A GPU's is that of allocators.
PEAK_BYTES, GPU_PEAK_BYTES = MIB, 20 * MIB
# A graph whose peak is above so many times what one operation needs is executed in an order that
# control edges do not fix, such as that of a loaded function: it is another in each process. Three
# were seen of one graph, the highest 29 % above the lowest. What runs eagerly has the order of its
# code.
UNORDERED, UNORDERED_SHARE = 1.25, 0.35


@dataclass(frozen=True)
class _Pair:
    """A step after the load, and one of the reference."""

    phase: Phase
    reference: str
    ours: Trace
    theirs: Trace


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each judged phase in which LMS has something to do."""
    reason = evidence.scenario.about_state or evidence.no_lms
    if reason is not None:
        return [skipped(reason)]
    return [
        named(phase, evidence.swapping, _phase(evidence, phase, record))
        for phase, record in _loading(evidence)
    ]


def _loading(evidence: Evidence) -> list[tuple[Phase, PhaseRecord]]:
    """The judged phases of the check: the first of several has nothing to load."""
    first = evidence.scenario.phase[0]
    later = [pair for pair in evidence.swapping if pair[0] is not first]
    return later or list(evidence.swapping)


def _phase(evidence: Evidence, phase: Phase, record: PhaseRecord) -> Finding:
    reference = evidence.references.get(phase.id)
    if reference is None:
        return skipped(f"{phase.id}: the scenario has no reference in which nothing is loaded")
    name, other = reference.name, reference.record
    if other.outcome is not Outcome.COMPLETED:
        how = other.outcome.value.replace("_", " ")
        why = phases_complete.cause(other.facts)
        how += f": {why}" if why else ""
        return unjudged(f"{phase.id}: its reference, {name}, did not complete ({how})")
    ours, theirs = trace(record.facts, phase.role), trace(other.facts, phase.role)
    if ours is None and record.outcome is not Outcome.COMPLETED:
        return unjudged(f"{phase.id} did not complete")
    if not reference.declared:
        reason = _incomparable(record, other, ours, theirs)
        if reason is not None:
            return skipped(f"{phase.id}: {name} is no reference: {reason}")
    for whose, entry in ((phase.id, ours), (f"its reference {name}", theirs)):
        if entry is None:
            return unjudged(f"{phase.id}: no trace of a {phase.role} step of {whose}")
    assert ours is not None
    assert theirs is not None  # both have been looked at
    pair = _Pair(phase, name, ours, theirs)
    unknown = [side for side in ("swap_out", "swap_in") if None in _counts(pair, side)]
    if unknown:
        return unjudged(f"{phase.id}: a trace does not know {' and '.join(unknown)}")
    wrong = [words for side in ("out", "in") if (words := _moved(pair, side))]
    wrong += _peaks(evidence, pair, record, other)
    lines = [
        line(owner, entry.line, _words(entry))
        for owner, entry in ((phase.id, ours), (name, theirs))
    ]
    numbers = _numbers(pair)
    if wrong:
        message = f"{phase.id}: {'; '.join(wrong)} (reference: {name})"
        return Finding(Status.FAILED, message, numbers, lines)
    message = f"{phase.id}: as in {name}: {_words(ours)}"
    return Finding(Status.PASSED, message, numbers, lines)


def _incomparable(
    record: PhaseRecord, other: PhaseRecord, ours: Trace | None, theirs: Trace | None
) -> str | None:
    """Why a phase that no scenario declares a reference cannot be one; None where it can."""
    if theirs is None:
        return f"it traced no {record.role} step"
    batch = None if ours is None else ours.batch
    if batch is None or theirs.batch is None:
        return "the traces do not tell the batch of their steps"
    if batch != theirs.batch:
        return f"its step is of {theirs.batch} examples, and not of {batch}"
    saved = digest(other.facts, "weights", "saved")
    restored = digest(record.facts, "weights", "restored")
    if saved is None or restored is None:
        return "the model is not known to be the same: no digest of its weights"
    if (saved.tensors, saved.bytes) != (restored.tensors, restored.bytes):
        return "it saved another model"
    return None


def _counts(pair: _Pair, name: str) -> tuple[int | None, int | None]:
    return getattr(pair.ours, name), getattr(pair.theirs, name)


def _moved(pair: _Pair, side: str) -> str:
    """What is wrong with the swaps of one direction, in words; "" for nothing."""
    count, wanted = _counts(pair, f"swap_{side}")
    size, expected = _counts(pair, f"bytes_{side}")
    assert count is not None
    assert wanted is not None  # both have been looked at
    beyond = (
        size is not None and expected is not None and abs(size - expected) > BYTES_SHARE * expected
    )
    if count == wanted and not beyond:
        return ""
    swaps = f"{count:,} swap-{side}, {wanted:,} in the reference"
    if beyond and size is not None and expected is not None:
        if size < expected:
            lost = f"{mib(expected - size)} of {mib(expected)} a step are no longer swapped {side}"
        else:
            lost = f"{mib(size - expected)} more than {mib(expected)} a step are swapped {side}"
        return f"{lost} ({swaps})"
    if count < wanted:
        return f"{wanted - count:,} of {wanted:,} swap-{side} a step are no longer executed"
    return swaps


def _peaks(evidence: Evidence, pair: _Pair, record: PhaseRecord, other: PhaseRecord) -> list[str]:
    """Peaks that have risen, in words: of the framework's records and, on a GPU, of NVML."""
    accelerator = evidence.accelerator
    share = PEAK_SHARE if evidence.mode == "eager" or _ordered(pair.theirs) else UNORDERED_SHARE
    peaks = [(pair.ours.meter, pair.ours.peak_accelerator, pair.theirs.peak_accelerator)]
    if accelerator == "gpu":
        peak, wanted = (gpu.peak_of(entry.samples or {}) for entry in (record, other))
        peaks.append(("NVML", peak, wanted))
    slack = GPU_PEAK_BYTES if accelerator == "gpu" else PEAK_BYTES
    return [
        f"the peak rose by {mib(peak - wanted)} from {mib(wanted)} to {mib(peak)} (meter {meter})"
        for meter, peak, wanted in peaks
        if peak is not None and wanted is not None and peak > wanted + max(share * wanted, slack)
    ]


def _ordered(reference: Trace) -> bool:
    """Whether a peak is near what one operation needs, or nobody knows what that is."""
    peak, bound = reference.peak_accelerator, reference.lower_bound
    return peak is None or not bound or peak <= UNORDERED * bound


def _numbers(pair: _Pair) -> dict[str, Number]:
    numbers: dict[str, Number] = {}
    for name in ("swap_out", "swap_in", "bytes_out", "bytes_in", "peak_accelerator"):
        numbers[name], numbers[f"reference_{name}"] = _counts(pair, name)
    return numbers


def _words(entry: Trace) -> str:
    return (
        f"{entry.swap_out} swap-out ({mib(entry.bytes_out)}), {entry.swap_in} swap-in"
        f" ({mib(entry.bytes_in)}), peak {mib(entry.peak_accelerator)} in a step"
    )
