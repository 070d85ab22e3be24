"""The timeline of a phase on a GPU, by what was sampled beside it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from harness.measure.samples import counter_delta
from harness.report.timeline.execution import Execution, Samples
from harness.report.timeline.model import Kind, Mark, Series, Timeline, Track, peak_of, series_of

_KIB = 1024
_GAP_INTERVALS = 5  # samples further apart than so many intervals have a gap between them
_GAPS = 200
_DEFAULT_INTERVAL_S = 0.05
_MOVES = 500  # swaps of one direction that are marked


def timeline(
    phase: str, executions: Sequence[Execution], ceiling: int | None = None
) -> Timeline | None:
    """The timeline of a phase and of its control; None where no GPU was sampled.

    Args:
        ceiling: bytes that the framework was allowed to take, as NVML sees them.
    """
    shown = [execution for execution in executions if _on_gpu(execution)]
    if not shown:
        return None
    aligned = all(execution.begin is not None for execution in shown)
    series: list[Series] = []
    marks: list[Mark] = []
    gaps: list[tuple[float, float]] = []
    for execution in shown:
        zero = execution.begin if aligned and execution.begin is not None else 0.0
        series += _series(execution, zero)
        marks += _marks(execution, zero)
        gaps += _gaps(execution, zero)
    memory = [drawn for drawn in series if drawn.unit == "B"]
    at = "0 is the begin of the traced step" if aligned else "0 is the first sample"
    return Timeline(
        phase=phase,
        meter=f"NVML and the host, sampled beside the phase; {at}",
        series=series,
        marks=sorted(marks, key=lambda mark: mark.t),
        gaps=sorted(sorted(gaps, key=_length, reverse=True)[:_GAPS]),
        peaks=[peak_of(drawn) for drawn in memory],
        ceiling=ceiling,
        largest=[],
    )


def _on_gpu(execution: Execution) -> bool:
    if not execution.number("gpu_samples"):
        return False  # and the file need not be read
    return any(value is not None for value in execution.samples.columns["gpu_used"])


def _series(execution: Execution, zero: float) -> Iterator[Series]:
    samples, name = execution.samples, execution.name
    tracks: tuple[tuple[Track, tuple[str, ...]], ...] = (
        ("accelerator", ("process_used", "gpu_used")),
        ("host", ("cgroup_current", "host_rss")),
    )
    for track, columns in tracks:
        t, value = samples.known(*columns)
        if t:
            yield series_of(name, track, "B", [at - zero for at in t], value)
    for direction, column in (("to host", "tx"), ("to GPU", "rx")):
        t, value = _rates(samples, column)
        if t:
            made = series_of(name, "bus", "B/s", [at - zero for at in t], value)
            yield made.model_copy(update={"name": f"{name}, PCIe {direction}"})


def _rates(samples: Samples, direction: str) -> tuple[list[float], list[float]]:
    """Bytes a second over the bus, each from the sample before on; from counters if there are."""
    t, counted = samples.known(f"pcie_{direction}_bytes")
    if len(t) < 2:
        t, rates = samples.known(f"pcie_{direction}_kib_s")
        return t, [rate * _KIB for rate in rates]
    _, bits = samples.known("pcie_bits")
    width = 32 if bits and bits[0] == 32 else 64
    begins: list[float] = []
    values: list[float] = []
    for (before, first), (now, second) in pairwise(zip(t, counted, strict=True)):
        moved = counter_delta(int(first), int(second), width)
        if moved is not None and now > before:
            begins.append(before)
            values.append(moved / (now - before))
    return [*begins, t[-1]], [*values, 0.0]


def _marks(execution: Execution, zero: float) -> Iterator[Mark]:
    began, step = execution.step_began, execution.step
    if began is None or execution.begin is None:
        return
    offset = execution.begin - zero  # of the step, on the axis

    def mark(moment: float, kind: Kind, label: str) -> Mark:
        return Mark(t=moment - began + offset, kind=kind, label=label, series=execution.name)

    for moment in execution.loads:
        yield mark(moment.t, "load", "loaded")
    for moment in execution.edits:
        yield mark(moment.t, "edit", "LMS edited")
    if step is None or step.unit != "microseconds" or step.began is None:
        return
    yield mark(began, "step_begin", f"{step.function} step begins")
    if step.end is not None:
        yield mark(began + step.end / 1e6, "step_end", f"{step.function} step ends")
    for at in step.swap_out[:_MOVES]:
        yield mark(began + at / 1e6, "swap_out", "swap-out")
    for at in step.swap_in[:_MOVES]:
        yield mark(began + at / 1e6, "swap_in", "swap-in")


def _gaps(execution: Execution, zero: float) -> Iterator[tuple[float, float]]:
    longest = _GAP_INTERVALS * (execution.number("interval_s") or _DEFAULT_INTERVAL_S)
    for before, now in pairwise(execution.samples.t):
        if now - before > longest:
            yield before - zero, now - zero


def _length(gap: tuple[float, float]) -> float:
    return gap[1] - gap[0]
