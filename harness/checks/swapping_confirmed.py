"""Check 5: swapping is measured, not believed.

Three sources: *self-reported* is what LMS says it moved, *measured* is what a meter outside LMS
saw, the *control* is the same phase with LMS off. The meter of the virtual accelerator is
TensorFlow's own record of one step (a `trace`). The meter of a GPU is NVML, sampled on the host.

Verdicts: `confirmed`; `refuted`, a failure; `inconclusive`, an error and never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.base.text import MIB, mib
from harness.catalog.scenarios import Phase
from harness.checks.evidence import Evidence
from harness.checks.finding import Finding, line, named, skipped
from harness.checks.result_unchanged import broken_control
from harness.record.checks import Number, Status
from harness.record.facts import Edit, LogFacts, Trace
from harness.record.models import PhaseRecord

# The peak has to fall by more than both; a smaller difference may be the order of operations.
TRACE_FALL = (0.01, 64 * 1024)  # part of the control's peak, bytes
NVML_FALL = (0.05, 20 * MIB)
REPORTED_SHARE = 0.5  # of the operations or bytes that LMS claims has to be measured
MIN_SAMPLES = 20
MAX_GAP_S = 0.5  # a peak between samples that far apart may be missed

_STATUS = {
    "confirmed": Status.PASSED,
    "refuted": Status.FAILED,
    "inconclusive": Status.ERROR,
}


@dataclass(frozen=True)
class _Verdict:
    word: str
    message: str
    numbers: Mapping[str, Number]
    lines: tuple[str, ...] = ()


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each judged phase; each message starts with its verdict."""
    if not evidence.scenario.control:
        return [skipped("the scenario has no control to measure against")]
    if evidence.provider == "off":
        return [skipped("the plan has LMS off")]
    if evidence.nothing_to_swap is not None:
        return [skipped(evidence.nothing_to_swap)]
    found = []
    for phase, record in evidence.swapping:
        control = evidence.controls.get(phase.id)
        reason = broken_control(control)
        if control is None or reason is not None:
            verdict = _Verdict("inconclusive", reason or "there is no control", {})
        elif evidence.accelerator == "gpu":
            verdict = _gpu(phase, record, control)
        else:
            verdict = _virtual(phase, record, control)
        finding = Finding(
            _STATUS[verdict.word],
            f"{verdict.word}: {phase.id}: {verdict.message}",
            verdict.numbers,
            verdict.lines,
        )
        found.append(named(phase, evidence.swapping, finding))
    return found


def edits(facts: LogFacts) -> list[Edit]:
    """The edits of a log, each once: markers if there are any, else the lines of TFLMS.

    A provider that writes both says the same twice.
    """
    by_marker = [edit for edit in facts.edits if edit.source == "marker"]
    return by_marker or list(facts.edits)


def self_reported(facts: LogFacts) -> Edit | None:
    """The edit that swaps most. A phase that edits several functions has one edit for each."""
    return max(edits(facts), key=lambda edit: min(edit.swap_out, edit.swap_in), default=None)


def trace(facts: LogFacts, function: str) -> Trace | None:
    """The last trace of a step of this function."""
    found = [entry for entry in facts.traces if entry.function == function]
    return found[-1] if found else None


# --- the virtual accelerator ------------------------------------------------------------------


def _virtual(phase: Phase, record: PhaseRecord, control: PhaseRecord) -> _Verdict:
    return _traces(phase, record.facts, control.facts)


def _traces(phase: Phase, facts: LogFacts, control_facts: LogFacts) -> _Verdict:
    """What LMS reports, a trace of one step, and the control's trace."""
    ours, theirs = trace(facts, phase.role), trace(control_facts, phase.role)
    claimed = self_reported(facts)
    if ours is None:
        return _Verdict("inconclusive", f"no trace of a {phase.role} step", {})
    meter = f"meter {ours.meter}"
    numbers = _trace_numbers(ours, theirs, claimed)
    lines = [line(phase.id, ours.line, _trace_words(ours))]
    if claimed is not None:
        lines.append(line(phase.id, claimed.line, claimed.text))

    def verdict(word: str, message: str) -> _Verdict:
        return _Verdict(word, f"{message} ({meter})", numbers, tuple(lines))

    unknown = [name for name in ("swap_out", "swap_in") if getattr(ours, name) is None]
    if unknown:
        return verdict("inconclusive", f"the trace does not know {' and '.join(unknown)}")
    swap_out, swap_in = ours.swap_out or 0, ours.swap_in or 0
    executed = f"{swap_out:,} swap-out and {swap_in:,} swap-in executed in a step"
    if claimed is not None:
        executed += f" ({claimed.swap_out:,} and {claimed.swap_in:,} added)"
    if swap_out == 0 or swap_in == 0:
        return verdict("refuted", executed)
    if phase.role == "train" and claimed is not None:
        # The edit of a graph that also predicts is larger than what one prediction executes.
        few = (
            swap_out < REPORTED_SHARE * claimed.swap_out
            or swap_in < REPORTED_SHARE * claimed.swap_in
        )
        if few:
            return verdict("refuted", f"{executed}: fewer than half")
    moved = _sum(ours.bytes_out, ours.bytes_in)
    if moved is None:
        return verdict("inconclusive", f"{executed}, bytes moved not known")
    if moved == 0:
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
    if phase.role != "train":
        # In a forward pass few tensors are far apart: the peak need not fall.
        peaks = "" if swapped is None else f"; {_peaks(swapped, unswapped)}"
        return verdict("confirmed", f"{executed}, none in the control{peaks}")
    if swapped is None or unswapped is None:
        return verdict("inconclusive", f"{executed}; {_peaks(swapped, unswapped)}")
    if unswapped - swapped > max(TRACE_FALL[0] * unswapped, TRACE_FALL[1]):
        return verdict("confirmed", f"{_peaks(swapped, unswapped)}; {executed}")
    return verdict("refuted", f"the peak did not fall: {_peaks(swapped, unswapped)}; {executed}")


def _trace_numbers(ours: Trace, theirs: Trace | None, claimed: Edit | None) -> dict[str, Number]:
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
    if claimed is not None:
        numbers["added_swap_out"] = claimed.swap_out
        numbers["added_swap_in"] = claimed.swap_in
    return numbers


def _trace_words(entry: Trace) -> str:
    return (
        f"trace of a {entry.function} step: {_known(entry.swap_out)} swap-out"
        f" ({mib(entry.bytes_out)}), {_known(entry.swap_in)} swap-in ({mib(entry.bytes_in)}),"
        f" peak {mib(entry.peak_accelerator)} on the accelerator,"
        f" {mib(entry.peak_host)} on the host"
    )


def _known(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _peaks(swapped: int | None, control: int | None) -> str:
    words = f"peak {mib(swapped)}, control {mib(control)}"
    if swapped is not None and control:
        saved = control - swapped
        words += f", saved {mib(saved)} ({100 * saved / control:.1f} %)"
    return words


# --- a GPU ------------------------------------------------------------------------------------


def _gpu(phase: Phase, record: PhaseRecord, control: PhaseRecord) -> _Verdict:
    """NVML's samples of the phase and of its control, and the traces where there are any."""
    has_trace = trace(record.facts, phase.role) is not None
    by_trace = _traces(phase, record.facts, control.facts) if has_trace else None
    if by_trace is not None and by_trace.word == "refuted":
        # Whatever moved over the bus, it was not the swap operations.
        return by_trace
    unswapped = trace(control.facts, phase.role)
    if by_trace is not None and unswapped and (unswapped.swap_out or unswapped.swap_in):
        return by_trace  # the control is broken, whatever NVML saw
    ours, theirs = record.samples, control.samples
    numbers: dict[str, Number] = dict(by_trace.numbers) if by_trace else {}
    lines = by_trace.lines if by_trace else ()
    if phase.role == "predict" and by_trace is not None and by_trace.word == "confirmed":
        # A forward pass need not lower the peak, and its bytes may be too few to stand out.
        return by_trace
    for whose, taken in (("", ours), ("the control's ", theirs)):
        doubt = _doubt(taken)
        if doubt is not None:
            return _Verdict("inconclusive", f"{whose}{doubt} (meter NVML)", numbers, lines)
    assert ours is not None
    assert theirs is not None  # _doubt has looked
    if ours.get("memory_version") != theirs.get("memory_version"):
        message = (
            f"memory was measured in two ways (version {ours.get('memory_version')}, control"
            f" {theirs.get('memory_version')}) (meter NVML)"
        )
        return _Verdict("inconclusive", message, numbers, lines)

    bus, bus_words, bus_numbers = _bus(record.facts, ours, theirs)
    memory, memory_words, memory_numbers = _memory(ours, theirs)
    numbers.update(bus_numbers)
    numbers.update(memory_numbers)
    numbers.update(_host(ours))
    samples = f"{_whole(ours.get('n'))} samples, control {_whole(theirs.get('n'))}"
    samples += f", largest gap {_real(ours.get('max_gap_s')):.2f} s"
    words = f"{memory_words}; {bus_words}; {_host_words(ours)} (meter NVML, {samples})"
    if by_trace is not None:
        words += f"; by trace {by_trace.word}: {by_trace.message}"
    if bus or memory:
        return _Verdict("confirmed", words, numbers, lines)
    if bus is None and memory is None:
        return _Verdict("inconclusive", words, numbers, lines)
    return _Verdict("refuted", words, numbers, lines)


def _doubt(samples: Mapping[str, Any] | None) -> str | None:
    """Why samples prove nothing, or None when they may."""
    if samples is None:
        return "samples are missing"
    if samples.get("error"):
        return f"sampler failed: {samples['error']}"
    count, gap = _whole(samples.get("n")), _real(samples.get("max_gap_s"))
    if count is None or count < MIN_SAMPLES:
        return f"samples are too few: {count or 0} of at least {MIN_SAMPLES}"
    if gap is None or gap > MAX_GAP_S:
        longest = "not known" if gap is None else f"{gap:.2f} s"
        return f"longest gap between samples is {longest}, more than {MAX_GAP_S} s proves nothing"
    foreign = samples.get("foreign_pids")
    if foreign:
        return f"GPU was shared with {len(foreign)} other processes"
    return None


def _bus(
    facts: LogFacts, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> tuple[bool | None, str, dict[str, Number]]:
    """Bytes the GPU sent beyond the control's, against what LMS says it swapped out."""
    claimed = self_reported(facts)
    expected = claimed.bytes_out if claimed else None
    sent, control = _whole(ours.get("pcie_tx_bytes")), _whole(theirs.get("pcie_tx_bytes"))
    received = _whole(ours.get("pcie_rx_bytes"))
    numbers: dict[str, Number] = {
        "pcie_tx_bytes": sent,
        "pcie_rx_bytes": received,
        "control_pcie_tx_bytes": control,
        "control_pcie_rx_bytes": _whole(theirs.get("pcie_rx_bytes")),
        "reported_bytes_out": expected,
        "reported_bytes_in": claimed.bytes_in if claimed else None,
    }
    if sent is None or control is None:
        return None, "PCIe bytes not known", numbers
    source = ours.get("pcie_source") or "?"
    words = (
        f"PCIe {mib(sent)} sent, {mib(received)} received, control {mib(control)} sent ({source})"
    )
    if theirs.get("pcie_exact") is False and source == "counters":
        return None, f"{words}, the control's may have wrapped", numbers
    if not expected:
        return None, f"{words}, LMS reports no bytes", numbers
    return (
        sent - control >= REPORTED_SHARE * expected,
        f"{words}, {mib(expected)} out a step self-reported",
        numbers,
    )


def _memory(
    ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> tuple[bool | None, str, dict[str, Number]]:
    """Peak device memory against the control's: of the process where both have it."""
    what, swapped, control = (
        "process",
        _whole(ours.get("process_peak")),
        _whole(theirs.get("process_peak")),
    )
    if swapped is None or control is None:
        what, swapped, control = "device", used(ours), used(theirs)
    numbers: dict[str, Number] = {"nvml_peak_bytes": swapped, "control_nvml_peak_bytes": control}
    if swapped is None or control is None:
        return None, "peak device memory not known", numbers
    numbers["nvml_saved_bytes"] = control - swapped
    fell = control - swapped > max(NVML_FALL[0] * control, NVML_FALL[1])
    return fell, f"{what} {_peaks(swapped, control)}", numbers


def _host(samples: Mapping[str, Any]) -> dict[str, Number]:
    """Where swapped tensors go, and how well it was looked at."""
    return {
        "host_peak_bytes": host_peak(samples),
        "host_pinned_bytes": _pinned(samples),
        "samples": _whole(samples.get("n")),
        "largest_gap_s": _real(samples.get("max_gap_s")),
    }


def host_peak(samples: Mapping[str, Any]) -> int | None:
    """Peak host memory: of the container, each page once, else of its processes."""
    return _whole(samples.get("cgroup_peak")) or _whole(samples.get("host_rss_peak"))


def _host_words(samples: Mapping[str, Any]) -> str:
    return f"host {mib(host_peak(samples))}, shared {mib(_pinned(samples))}"


def _pinned(samples: Mapping[str, Any]) -> int | None:
    # Drivers put pinned buffers into shared memory.
    return _whole(samples.get("cgroup_shmem_peak")) or _whole(samples.get("host_shared_peak"))


def used(samples: Mapping[str, Any]) -> int | None:
    """Peak memory of the whole device, above what was in use before."""
    peak = _whole(samples.get("gpu_used_peak"))
    baseline = _whole(samples.get("gpu_used_baseline"))
    return None if peak is None else peak - (baseline or 0)


def _sum(*sizes: int | None) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and abs(value) < 2**63 else None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None
