"""A run's directory with the files that timelines are drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.measure.samples import HEADER, Sample, to_line
from harness.record import times
from harness.record.models import PhaseRecord, RunRecord
from harness.record.times import Moment, Points, StepSeries, Swapped, Times
from tests import records

MIB = 1 << 20
BEGAN = 5_000.0  # of the traced step, by the monotonic clock
SAMPLED_FROM = 4_990.0


def step(most: int, **values: Any) -> StepSeries:
    """A training step of 40 ms, its peak at 20 ms; a third of it on the host."""
    base: dict[str, Any] = {
        "function": "train",
        "meter": "allocations",
        "unit": "microseconds",
        "began": BEGAN,
        "end": 40_000,
        "accelerator": Points(at=[0, 10_000, 20_000, 30_000], bytes=[0, most // 2, most, 7]),
        "host": Points(at=[0, 15_000, 25_000], bytes=[0, most // 3, 0]),
        "swap_out": [11_000, 12_000],
        "swap_in": [28_000],
        "largest": [Swapped(name="conv2d_Relu_0", bytes=most // 4)],
        "line": 9,
    }
    return StepSeries(**{**base, **values})


def told(most: int, **values: Any) -> Times:
    """What a phase's log says: an edit, a load, the step."""
    return Times(
        moments=[
            Moment(event="lms_edited", detail="", t=BEGAN - 3.25),
            Moment(event="digest", detail="restored weights", t=BEGAN - 3.0),
            Moment(event="digest", detail="restored predictions", t=BEGAN - 2.0),
            Moment(event="trace", detail="train", t=BEGAN + 0.5),
        ],
        series=[step(most, **values)],
    )


def lay_out(record: RunRecord, run_directory: Path, swapped: int = 46, control: int = 82) -> Path:
    """Writes a timeline beside each load and its control; sizes are peaks in MiB."""
    for phase in record.phases:
        directory = run_directory / phase.directory
        directory.mkdir(parents=True, exist_ok=True)
        if phase.key.endswith((".load", ".control")):
            is_control = phase.control_of is not None
            times.keep(
                told(control * MIB, swap_out=[], swap_in=[], largest=[])
                if is_control
                else told(swapped * MIB),
                directory,
            )
    return run_directory


def samples(directory: Path, peak: int, count: int = 400, gap: bool = False) -> None:
    """Writes samples of 20 s, every 50 ms: a peak that one sample saw, 10 s after the first.

    Args:
        gap: two seconds before the end have no sample.
    """
    lines = [HEADER]
    for number in range(count):
        if gap and 350 <= number < 390:
            continue
        used = peak if number == 205 else 100 * MIB
        lines.append(
            to_line(
                Sample(
                    t_s=number * 0.05,
                    gpu_used=used,
                    process_used=used - 50 * MIB,
                    pcie_tx_bytes=number * MIB,
                    pcie_rx_bytes=2 * number * MIB,
                    pcie_bits=64,
                    host_rss=300 * MIB + number,
                )
            )
        )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "samples.csv").write_text("".join(lines), "ascii")


def on_gpu(phase: PhaseRecord, count: int = 400) -> PhaseRecord:
    """The phase with a summary of `samples`."""
    summary = {
        "n": count,
        "interval_s": 0.05,
        "began_s": SAMPLED_FROM,
        "duration_s": (count - 1) * 0.05,
        "gpu_samples": count,
    }
    return phase.model_copy(update={"samples": summary})


def gpu_record() -> RunRecord:
    """A run of one case on a GPU."""
    record = records.record([records.case("one")], accelerator="gpu", gpu={"name": "Test GPU"})
    return record.model_copy(update={"phases": [on_gpu(phase) for phase in record.phases]})
