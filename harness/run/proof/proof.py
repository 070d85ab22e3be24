"""The proof that swapping works on a GPU: peaks with and without it, and a ceiling between them.

A peak that fell can have other reasons. So a ceiling is put on the memory that the framework may
take, between the two peaks: without swapping the phase has to run out of memory under it, and with
swapping it has to finish, never above the ceiling by what NVML saw. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from harness.base.text import MIB, mib
from harness.catalog.providers import Effect
from harness.checks.finding import kinds
from harness.checks.swaps import gpu, self_report, step
from harness.logs.grammar.vocabulary import of_device
from harness.record.checks import Status
from harness.record.model import Model
from harness.record.models import Outcome, PhaseRecord

State = Literal["running", "finished", "interrupted", "aborted", "crashed"]

# An offload is as large as the memory it saves, within these: the rule that Megatron-LM's tests of
# activation offloading use (test_fine_grained_activation_offloading.py).
TOLERANCE = 0.30
TOLERANCE_BYTES = 20 * MIB
LEAST_EXPECTED = 2 * MIB
# NVML's samples hold the context and the driver's own memory, which no allocator's limit covers.
CEILING_SLACK = 32 * MIB
# How an execution ended that says nothing of swapping: whose doing that was is not the provider's.
_NO_WORD = (
    Outcome.ENGINE_ERROR,
    Outcome.INTERRUPTED,
    Outcome.KILLED,
    Outcome.NOT_RUN,
    Outcome.OUT_OF_MEMORY,
)


class Measurement(Model):
    """One execution of the phase.

    Attributes:
        out_of_memory: it failed, and its log says that the GPU's memory did not suffice.
        name: "control", "swapped", "control under the ceiling", "swapped under the ceiling".
        batch_scale: factor on the batch size.
        ceiling: bytes that the framework might take, or None for no limit.
        nvml_peak: greatest device memory of the phase's processes; where NVML lists no processes,
            of the device above what was in use before.
        framework_peak: the framework's own peak counter of a step.
        allocator_peak, allocator_pool: what the framework's allocator says of the whole phase,
            where it does: bytes in use, and bytes that it had taken of the GPU for them.
        bytes_out, bytes_in: what LMS says one step moves.
        pcie_tx, pcie_rx: sent by and to the GPU, over the whole phase.
        host_peak: greatest host memory of the phase: of its cgroup, else resident.
        pinned_peak: shared memory of its cgroup, where drivers put pinned buffers.
    """

    name: str
    batch_scale: int
    ceiling: int | None = None
    outcome: Outcome
    out_of_memory: bool
    nvml_peak: int | None = None
    framework_peak: int | None = None
    allocator_peak: int | None = None
    allocator_pool: int | None = None
    bytes_out: int | None = None
    bytes_in: int | None = None
    offloaded_peak: int | None = None
    pcie_tx: int | None = None
    pcie_rx: int | None = None
    host_peak: int | None = None
    pinned_peak: int | None = None
    step_ms: float | None = None
    samples: int | None = None
    largest_gap_s: float | None = None
    problem: str = ""


class Requirement(Model):
    """One part of the proof."""

    name: str
    status: Status
    message: str


class Proof(Model):
    """A proof, or the attempt: what was measured of one case on one GPU.

    Attributes:
        state: as of a run. One that is not finished never passes, whatever it has shown so far.
        reason: why it is not finished; empty while it runs.
        smaller: controls whose step was too small, with a smaller batch.
        ceiling: bytes that the framework might take in the last two measurements.
        nvml_ceiling: the same as NVML would see it: with context and driver.
        effect: of the provider; where it has pages moved there is no peak that falls, and the rest
            of the GPU's memory is taken under the ceiling.
    """

    flavor: str
    scenario: str
    phase: str
    gpu: dict[str, Any]
    state: State = "running"
    reason: str = ""
    versions: dict[str, Any] = Field(default_factory=dict)
    goal: int
    effect: Effect = "moves"
    measurements: list[Measurement] = Field(default_factory=list)
    smaller: list[Measurement] = Field(default_factory=list)
    ceiling: int | None = None
    nvml_ceiling: int | None = None
    findings: list[Requirement] = Field(default_factory=list)

    @property
    def status(self) -> Status:
        """Failed before error before passed; nothing found, or not all, proves nothing."""
        statuses = {finding.status for finding in self.findings}
        if self.state != "finished":
            statuses.add(Status.ERROR)
        order = (Status.FAILED, Status.ERROR, Status.PASSED)
        return next((status for status in order if status in statuses), Status.ERROR)

    @property
    def executions(self) -> int:
        """How often the phase was run."""
        return len(self.smaller) + len(self.measurements)


def measurement(
    name: str, record: PhaseRecord, batch_scale: int, ceiling: int | None = None
) -> Measurement:
    """What one execution showed."""
    samples: Mapping[str, Any] = record.samples or {}
    facts = record.facts
    trace = step.trace(facts, record.role)
    reported = self_report.largest(facts)
    exhausted = [problem for problem in kinds(facts, "out_of_memory") if of_device(problem)]
    return Measurement(
        name=name,
        batch_scale=batch_scale,
        ceiling=ceiling,
        outcome=record.outcome,
        # One that went on had something else to do than to allocate, or less to ask for.
        out_of_memory=bool(exhausted) and record.outcome is Outcome.FAILED,
        nvml_peak=gpu.peak_of(samples),
        framework_peak=trace.peak_accelerator if trace else None,
        allocator_peak=trace.allocator_peak if trace else None,
        allocator_pool=trace.allocator_pool if trace else None,
        bytes_out=reported.bytes_out if reported else None,
        bytes_in=reported.bytes_in if reported else None,
        offloaded_peak=trace.peak_host if trace else None,
        pcie_tx=samples.get("pcie_tx_bytes"),
        pcie_rx=samples.get("pcie_rx_bytes"),
        host_peak=gpu.host_peak(samples),
        pinned_peak=samples.get("cgroup_shmem_peak"),
        step_ms=trace.step_ms if trace else None,
        samples=samples.get("n"),
        largest_gap_s=samples.get("max_gap_s"),
        problem=exhausted[0].text if exhausted else record.reason,
    )


def next_batch_scale(measured: Measurement, goal: int, most: int) -> int | None:
    """The factor to try next so that the control's activations reach the goal.

    Returns:
        None when they have, when the control ran out of memory or told no peak, or at `most`.
    """
    peak = measured.framework_peak
    if peak is None or peak >= goal or measured.out_of_memory or measured.batch_scale >= most:
        return None
    # What does not grow with the batch makes the first guess fall short, never far beyond.
    wanted = measured.batch_scale * goal / max(peak, 1)
    return min(most, max(measured.batch_scale + 1, round(wanted + 0.5)))


def ceilings(control: Measurement, swapped: Measurement) -> tuple[int, int] | None:
    """A limit for the framework half way between the two peaks, and how NVML would see it.

    Returns:
        None where a peak is not known or did not fall: there is no such limit.
    """
    high, low = control.framework_peak, swapped.framework_peak
    if high is None or low is None or low >= high:
        return None
    limit = (high + low) // 2
    overhead = max(0, control.nvml_peak - high) if control.nvml_peak is not None else 0
    return limit, limit + overhead


def ceiling_of_pages(control: Measurement) -> tuple[int, int] | None:
    """A limit below the control's peak, and how NVML would see it; None where that is not known.

    A quarter of it has to move: a GPU with little room for many pages can hang.
    """
    peak = control.framework_peak
    if not peak:
        return None
    overhead = max(0, control.nvml_peak - peak) if control.nvml_peak is not None else 0
    return peak - peak // 4, peak - peak // 4 + overhead


def findings(proof: Proof) -> list[Requirement]:
    """Judges what was measured, all of it or what there is so far."""
    found = list(_measured(proof))
    if proof.state != "finished":
        reason = f": {proof.reason}" if proof.reason else ""
        # The first to be read, since it is why others are missing.
        found.insert(0, _requirement("finished", Status.ERROR, f"{proof.state}{reason}"))
    return found


def _measured(proof: Proof) -> list[Requirement]:
    by_name = {entry.name: entry for entry in proof.measurements}
    control, swapped = by_name.get("control"), by_name.get("swapped")
    if control is None or swapped is None:
        return [_requirement("peaks", Status.ERROR, "the control or the swapped phase was not run")]
    if proof.effect == "pages":
        return [_batch_scale(control, proof.goal), *_under(proof, by_name)]
    return [
        _batch_scale(control, proof.goal),
        _peaks(control, swapped),
        _expected(control, swapped),
        _bus(control, swapped),
        *_under(proof, by_name),
    ]


def _requirement(name: str, status: Status, message: str) -> Requirement:
    return Requirement(name=name, status=status, message=message)


def _batch_scale(control: Measurement, goal: int) -> Requirement:
    words = (
        f"the control's step takes {mib(control.framework_peak)} at {control.batch_scale} times the"
        f" batch size, wanted {mib(goal)}"
    )
    enough = control.framework_peak is not None and control.framework_peak >= goal
    return _requirement("batch scale", Status.PASSED if enough else Status.ERROR, words)


def _peaks(control: Measurement, swapped: Measurement) -> Requirement:
    high, low = control.nvml_peak, swapped.nvml_peak
    words = f"NVML peak {mib(low)}, control {mib(high)}"
    if control.outcome is not Outcome.COMPLETED or swapped.outcome is not Outcome.COMPLETED:
        return _requirement("peaks", Status.ERROR, f"{words}: not both completed")
    if high is None or low is None:
        return _requirement("peaks", Status.ERROR, f"{words}: not known")
    if low >= high:
        return _requirement("peaks", Status.FAILED, f"{words}: the peak did not fall")
    ratio = _ratio(swapped.framework_peak, control.framework_peak)
    return _requirement(
        "peaks",
        Status.PASSED,
        f"{words}, saved {mib(high - low)}; the framework's own counter"
        f" {mib(swapped.framework_peak)}, control {mib(control.framework_peak)}{ratio}",
    )


def _expected(control: Measurement, swapped: Measurement) -> Requirement:
    """Saved memory against what lay in host memory at the swapped run's fullest moment."""
    high, low, expected = (
        control.framework_peak,
        swapped.framework_peak,
        swapped.offloaded_peak,
    )
    name = "saved as much as was moved"
    if high is None or low is None or expected is None:
        return _requirement(name, Status.SKIPPED, "peaks of the framework are not known")
    saved = high - low
    words = f"saved {mib(saved)}, {mib(expected)} in host memory at most"
    if expected < LEAST_EXPECTED:
        return _requirement(name, Status.ERROR, f"{words}: too little to tell")
    if saved > expected * (1 + TOLERANCE) + TOLERANCE_BYTES:
        return _requirement(
            name, Status.ERROR, f"{words}: something else than swapping saved memory"
        )
    within = abs(saved - expected) <= max(TOLERANCE * expected, TOLERANCE_BYTES)
    more = "" if within else "; the peak is elsewhere than where most is swapped out"
    return _requirement(name, Status.PASSED, f"{words}, ratio {saved / expected:.2f}{more}")


def _bus(control: Measurement, swapped: Measurement) -> Requirement:
    name = "bytes over the bus"
    if swapped.pcie_tx is None or control.pcie_tx is None:
        return _requirement(name, Status.SKIPPED, "this GPU counts no PCIe bytes")
    words = (
        f"{mib(swapped.pcie_tx)} sent and {mib(swapped.pcie_rx)} received, control"
        f" {mib(control.pcie_tx)} and {mib(control.pcie_rx)}, {mib(swapped.bytes_out)} out and"
        f" {mib(swapped.bytes_in)} in a step self-reported"
    )
    if not swapped.bytes_out:
        return _requirement(name, Status.ERROR, f"{words}: LMS reports no bytes")
    least, _ = gpu.BUS["counters"]
    enough = swapped.pcie_tx - control.pcie_tx >= least * swapped.bytes_out
    return _requirement(name, Status.PASSED if enough else Status.FAILED, words)


def _under(proof: Proof, by_name: Mapping[str, Measurement]) -> Iterator[Requirement]:
    control = by_name.get("control under the ceiling")
    swapped = by_name.get("swapped under the ceiling")
    name = "the control fails under the ceiling"
    if proof.ceiling is None or proof.nvml_ceiling is None:
        yield _requirement(name, Status.ERROR, "no ceiling: the peaks leave no room for one")
        return
    if control is None:
        yield _requirement(name, Status.ERROR, "it was not run")
        return
    limit = f"under {mib(proof.ceiling)}"
    if not control.out_of_memory:
        # The framework did not obey the limit, so that the swapped run proves nothing under it.
        outcome = control.outcome.value.replace("_", " ")
        yield _requirement(
            name, Status.ERROR, f"{limit} it {outcome}, and did not run out of the GPU's memory"
        )
        return
    yield _requirement(name, Status.PASSED, f"{limit} it ran out of memory")
    name = "the swapped phase finishes under the ceiling"
    if swapped is None:
        yield _requirement(name, Status.ERROR, "it was not run")
        return
    words = (
        f"{limit}: {swapped.outcome.value.replace('_', ' ')}, NVML peak {mib(swapped.nvml_peak)}"
    )
    if swapped.outcome in _NO_WORD:
        yield _requirement(name, Status.ERROR, words)
        return
    if proof.effect == "pages":
        finished = swapped.outcome is Outcome.COMPLETED
        more = ": the driver moved pages for what does not fit" if finished else ""
        status = Status.PASSED if finished else Status.FAILED
        yield _requirement(name, status, words + more)
        return
    above = (swapped.nvml_peak or 0) > proof.nvml_ceiling + CEILING_SLACK
    if swapped.outcome is not Outcome.COMPLETED or above:
        status, more = Status.FAILED, f", ceiling {mib(proof.nvml_ceiling)}"
    elif swapped.nvml_peak is None:
        status, more = Status.ERROR, ", which is not known"
    else:
        status, more = Status.PASSED, f", never above {mib(proof.nvml_ceiling)}"
    yield _requirement(name, status, words + more)


def lines(proof: Proof) -> Iterator[str]:
    """The proof as text: numbers first, then the findings."""
    name = proof.gpu.get("name") or "unknown GPU"
    yield f"{proof.flavor} {proof.scenario}, phase {proof.phase}, on {name}"
    for entry in (*proof.smaller, *proof.measurements):
        ended = "out of memory" if entry.out_of_memory else entry.outcome.value.replace("_", " ")
        gap = "?" if entry.largest_gap_s is None else f"{entry.largest_gap_s:.2f}"
        yield (
            f"  {entry.name} (batch x {entry.batch_scale}): {ended};"
            f" NVML peak {mib(entry.nvml_peak)},"
            f" framework {mib(entry.framework_peak)}{_allocator(entry)};"
            f" self-reported {mib(entry.bytes_out)} out,"
            f" {mib(entry.bytes_in)} in; PCIe {mib(entry.pcie_tx)} sent, {mib(entry.pcie_rx)}"
            f" received; host {mib(entry.host_peak)}, pinned {mib(entry.pinned_peak)};"
            f" {entry.samples or 0} samples, largest gap {gap} s"
        )
    step_ms = {entry.name: entry.step_ms for entry in proof.measurements}
    swapped, control = step_ms.get("swapped"), step_ms.get("control")
    if swapped and control:
        ratio = swapped / control
        yield f"  step time: {swapped:.1f} ms, control {control:.1f} ms, ratio {ratio:.2f}"
    for finding in proof.findings:
        yield f"  {finding.status.value:<8} {finding.name}: {finding.message}"


def _allocator(entry: Measurement) -> str:
    if entry.allocator_peak is None:
        return ""
    return f", its allocator {mib(entry.allocator_peak)} in {mib(entry.allocator_pool)}"


def _ratio(part: int | None, whole: int | None) -> str:
    return f", ratio {part / whole:.2f}" if part is not None and whole else ""
