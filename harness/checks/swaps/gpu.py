"""A phase on a GPU: bytes over the bus and peak memory, both by NVML, beside those of the control.

Swapping moves bytes *and* lowers the peak. Either alone has other causes: a smaller batch lowers
the peak, and a copy that frees nothing moves bytes. The bytes are those of a step, as often as the
script says that it ran one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.base.text import MIB, mib
from harness.checks.swaps import self_report, step
from harness.checks.swaps.verdict import Verdict, Word, peaks
from harness.record.checks import Number
from harness.record.facts import LogFacts, Trace

MIN_SAMPLES = 20
MAX_GAP_S = 0.5  # a peak between samples that far apart may be missed
# By how much a peak has to differ from the control's to have fallen, or risen: by both.
PEAK_SHARE, PEAK_BYTES = 0.05, 20 * MIB
# A control whose step holds less cannot be told from what allocators keep.
LEAST_ACTIVATIONS = 1024 * MIB
# Bytes sent beyond the control's, as a part of those of a step times the steps: evaluation swaps
# too, and is in no step. A throughput is an estimate from windows of 20 ms (NVML's documentation).
BUS = {"counters": (0.5, 2.0), "throughput": (0.25, 4.0)}
BUS_NOISE = (0.05, 16 * MIB)  # part of what the control sent, bytes: fewer cannot be told from it

# What a framework takes from the driver can grow by doubling (BFCAllocator::Extend of XLA and
# TensorFlow), and another step than the traced one can hold everything: neither meter outweighs.
IN_THE_STEP_ALONE = "the peak fell in the step that was traced, and not by NVML"

Samples = Mapping[str, Any]
Moved = Literal["right", "few", "many", "unknown"]
Peak = Literal["fell", "rose", "same", "unknown"]


@dataclass(frozen=True)
class _Bus:
    """Bytes that the GPU sent, beside those that swapping needs.

    Attributes:
        estimate: they were not counted.
    """

    moved: Moved
    words: str
    numbers: Mapping[str, Number]
    estimate: bool = False


@dataclass(frozen=True)
class Memory:
    """Peak device memory, beside the control's."""

    peak: Peak
    words: str
    numbers: Mapping[str, Number]


def judge(
    role: str,
    facts: LogFacts,
    control_facts: LogFacts,
    ours: Samples | None,
    theirs: Samples | None,
) -> Verdict:
    """Whether a phase of this role swapped.

    Args:
        ours, theirs: summaries of NVML's samples of the phase and of its control.
    """
    traced, control = step.trace(facts, role), step.trace(control_facts, role)
    by_trace = None if traced is None else step.judge(role, facts, control_facts)
    if by_trace is not None:
        swapped_too = control is not None and (control.swap_out or control.swap_in)
        if swapped_too or by_trace.word == "refuted":
            # Whatever moved over the bus, it was not the swap operations.
            return by_trace
    numbers: dict[str, Number] = dict(by_trace.numbers) if by_trace else {}
    lines = by_trace.lines if by_trace else ()
    doubt = doubtful(ours, theirs)
    if doubt is not None or ours is None or theirs is None:
        return Verdict("inconclusive", f"{doubt} (meter NVML)", numbers, lines)
    bus, peak = _bus(facts, traced, ours, theirs), memory(ours, theirs)
    numbers.update({**bus.numbers, **peak.numbers, **_host(ours)})
    swapped = by_trace is not None and by_trace.word == "confirmed"
    if bus.moved == "unknown" and swapped and traced is not None and traced.meter != step.COMPILED:
        bus = replace(bus, moved="right")  # what a trace counts was executed
    word, reason = _decide(role, bus, peak.peak, swapped, control)
    samples = f"{_whole(ours.get('n'))} samples, control {_whole(theirs.get('n'))}"
    samples += f", largest gap {_real(ours.get('max_gap_s')):.2f} s"
    words = f"{reason}: {peak.words}; {bus.words}; {_host_words(ours)} (meter NVML, {samples})"
    if by_trace is not None:
        words += f"; by trace {by_trace.word}: {by_trace.message}"
    return Verdict(word, words, numbers, lines)


def _decide(
    role: str, bus: _Bus, peak: Peak, swapped: bool, control: Trace | None
) -> tuple[Word, str]:
    """The verdict, and what decides it.

    Args:
        swapped: by the trace of a step.
        control: the same step of the control.
    """
    if peak == "rose":
        return "refuted", "the peak rose"
    if bus.moved in ("few", "many"):
        how = "fewer" if bus.moved == "few" else "more"
        words = f"{how} bytes went over the bus than swapping moves"
        if bus.estimate and (swapped or peak == "fell"):
            return "inconclusive", f"{words}, by an estimate that another meter contradicts"
        return "refuted", words
    if bus.moved == "unknown":
        return "inconclusive", "what went over the bus tells nothing"
    if role != "train":
        # A forward pass has few tensors that are far apart: its peak need not fall.
        return "confirmed", "bytes moved"
    if peak == "fell":
        return "confirmed", "bytes moved and the peak fell"
    if peak == "unknown":
        return "inconclusive", "bytes moved, and no peak is known"
    held = None if control is None else control.peak_accelerator
    if held is None or held < LEAST_ACTIVATIONS:
        return "inconclusive", too_small(held)
    if swapped:
        return "inconclusive", IN_THE_STEP_ALONE
    return "refuted", "bytes moved, and the peak did not fall"


def too_small(held: int | None) -> str:
    """Why a peak that did not fall proves nothing. held: bytes of a step of the control."""
    return (
        f"the model is too small for its peak to show: a step of the control holds {mib(held)},"
        f" wanted {mib(LEAST_ACTIVATIONS)}"
    )


def doubtful(ours: Samples | None, theirs: Samples | None) -> str | None:
    """Why samples of a phase and of its control prove nothing, or None when they may."""
    for whose, taken in (("", ours), ("the control's ", theirs)):
        doubt = _doubt(taken)
        if doubt is not None:
            return f"{whose}{doubt}"
    assert ours is not None
    assert theirs is not None  # _doubt has looked
    if ours.get("memory_version") != theirs.get("memory_version"):
        return (
            f"memory was measured in two ways (version {ours.get('memory_version')}, control"
            f" {theirs.get('memory_version')})"
        )
    return None


def _doubt(samples: Samples | None) -> str | None:
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


def _bus(facts: LogFacts, traced: Trace | None, ours: Samples, theirs: Samples) -> _Bus:
    """Bytes the GPU sent beyond the control's, against those of a step times the steps."""
    said = self_report.largest(facts)
    a_step = traced.bytes_out if traced is not None else None
    if a_step is None and said is not None:
        a_step = said.bytes_out
    steps = None if traced is None else traced.steps
    sent, control = _whole(ours.get("pcie_tx_bytes")), _whole(theirs.get("pcie_tx_bytes"))
    received = _whole(ours.get("pcie_rx_bytes"))
    numbers: dict[str, Number] = {
        "pcie_tx_bytes": sent,
        "pcie_rx_bytes": received,
        "control_pcie_tx_bytes": control,
        "control_pcie_rx_bytes": _whole(theirs.get("pcie_rx_bytes")),
        "reported_bytes_out": said.bytes_out if said else None,
        "reported_bytes_in": said.bytes_in if said else None,
        "step_bytes_out": a_step,
        "steps": steps,
    }
    if sent is None or control is None:
        return _Bus("unknown", "PCIe bytes not known", numbers)
    source = str(ours.get("pcie_source") or "?")
    estimate = source != "counters"
    words = (
        f"PCIe {mib(sent)} sent, {mib(received)} received, control {mib(control)} sent ({source})"
    )
    if theirs.get("pcie_exact") is False and source == "counters":
        return _Bus("unknown", f"{words}, the control's may have wrapped", numbers)
    if not a_step:
        return _Bus("unknown", f"{words}, bytes of a step not known", numbers)
    expected = a_step * (steps or 1)
    times = "at least one step" if steps is None else f"{steps:,} steps"
    words += f", {mib(a_step)} out a step and {times}"
    if expected < max(BUS_NOISE[0] * control, BUS_NOISE[1]):
        return _Bus("unknown", f"{words}: too few to tell", numbers)
    least, most = BUS.get(source, BUS["throughput"])
    beyond = sent - control
    numbers["bus_share"] = round(beyond / expected, 3)
    words += f": {beyond / expected:.2f} of that beyond the control"
    if beyond < least * expected and ours.get("pcie_exact") is False and not estimate:
        return _Bus("unknown", f"{words}, and the counter may have wrapped", numbers)
    if beyond < least * expected:
        return _Bus("few", f"{words}, least {least:g}", numbers, estimate)
    # Without the number of steps there is no upper bound.
    if steps is not None and beyond > most * expected:
        return _Bus("many", f"{words}, most {most:g}", numbers, estimate)
    return _Bus("right", words, numbers)


def memory(ours: Samples, theirs: Samples) -> Memory:
    """Peak device memory against the control's: of the process where both have it."""
    what = "process"
    swapped, control = _whole(ours.get("process_peak")), _whole(theirs.get("process_peak"))
    if swapped is None or control is None:
        what, swapped, control = "device", used(ours), used(theirs)
    numbers: dict[str, Number] = {"nvml_peak_bytes": swapped, "control_nvml_peak_bytes": control}
    if swapped is None or control is None:
        return Memory("unknown", "peak device memory not known", numbers)
    numbers["nvml_saved_bytes"] = control - swapped
    least = max(PEAK_SHARE * control, PEAK_BYTES)
    saved = control - swapped
    peak: Peak = "fell" if saved > least else "rose" if saved < -least else "same"
    return Memory(peak, f"{what} {peaks(swapped, control)}", numbers)


def peak_of(samples: Samples) -> int | None:
    """Peak device memory of the phase's processes, or of the device above what was in use."""
    peak = _whole(samples.get("process_peak"))
    return used(samples) if peak is None else peak


def used(samples: Samples) -> int | None:
    """Peak memory of the whole device, above what was in use before."""
    peak = _whole(samples.get("gpu_used_peak"))
    baseline = _whole(samples.get("gpu_used_baseline"))
    return None if peak is None else peak - (baseline or 0)


def host_peak(samples: Samples) -> int | None:
    """Peak host memory: of the container, each page once, else of its processes."""
    return _whole(samples.get("cgroup_peak")) or _whole(samples.get("host_rss_peak"))


def _host(samples: Samples) -> dict[str, Number]:
    """Where swapped tensors go, and how well it was looked at."""
    return {
        "host_peak_bytes": host_peak(samples),
        "host_pinned_bytes": _pinned(samples),
        "samples": _whole(samples.get("n")),
        "largest_gap_s": _real(samples.get("max_gap_s")),
    }


def _host_words(samples: Samples) -> str:
    return f"host {mib(host_peak(samples))}, shared {mib(_pinned(samples))}"


def _pinned(samples: Samples) -> int | None:
    # Drivers put pinned buffers into shared memory.
    return _whole(samples.get("cgroup_shmem_peak")) or _whole(samples.get("host_shared_peak"))


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and abs(value) < 2**63 else None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None
