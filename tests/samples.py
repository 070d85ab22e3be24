"""Reads `samples.csv` back, as a spreadsheet would, for tests and benchmarks."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from harness.measure.samples import Accumulator, Sample, Samples


def read(path: Path) -> list[Sample]:
    """The samples of a file; a last line that was cut off is none."""
    text = path.read_text("ascii")
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [_sample(row) for row in csv.DictReader(whole)]


def summary(samples: Iterable[Sample], interval_s: float = 0.05) -> Samples:
    """What the sampler makes of samples, all else unknown."""
    accumulator = Accumulator(interval_s)
    for sample in samples:
        accumulator.add(sample)
    return accumulator.result()


def _sample(row: dict[str, str]) -> Sample:
    pids = tuple(int(pid) for pid in row.pop("foreign_pids").split())
    known = {name: cell for name, cell in row.items() if cell}
    numbers = {
        name: (float if name.endswith("_s") and "kib" not in name else int)(cell)
        for name, cell in known.items()
    }
    return Sample(**{**numbers, "foreign_pids": pids})
