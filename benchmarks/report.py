"""Wall and CPU seconds for plan, record and each report of 10,000 cases, thrice each.

python benchmarks/report.py [cases]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import atomic
from harness.catalog.catalog import Catalog
from harness.plan import planner
from harness.record import store
from harness.record.checks import CheckId, Status
from harness.record.models import RunRecord
from harness.report import junit, summary
from harness.report.files import reports as report
from harness.report.page import pages
from tests import records

RUNS = 3
FLAVORS = 8


def build(cases: int) -> RunRecord:
    lines = [f"load:{number}: [LMS][0] Added 25 operations to the model" for number in range(3)]
    usual = records.check(CheckId.LMS_EDITED_GRAPH, lines=lines, numbers={"operations": 25})
    broken = records.check(CheckId.SWAPPING_CONFIRMED, Status.FAILED, "refuted", lines=lines)
    return records.record(
        [
            records.case(
                f"scenario-{index // FLAVORS}",
                f"flavor-{index % FLAVORS}",
                checks=records.checks(lms_edited_graph=usual)
                if index % 20
                else records.checks(lms_edited_graph=usual, swapping_confirmed=broken),
            )
            for index in range(cases)
        ]
    )


def catalog_of(cases: int, flavors: int = FLAVORS) -> Catalog:
    """A catalog whose plan has that many cases, each with two phases and a control.

    Where phases are shared, all scenarios of a flavor share their save and none its load.
    """
    save = {"id": "save", "script": "save.py", "role": "train"}
    load = {"id": "load", "script": "load.py", "role": "train"}
    image = {"accelerator": "virtual", "base": "base", "requirements": "requirements.txt"}
    flavor = {"directory": ".", "description": "d", "keras": "keras", "mode": "session"}
    flavor |= {"python": "3.7", "requirements": {}, "image": [image]}
    made = [{**flavor, "id": f"flavor-{number}"} for number in range(flavors)]
    scenario = {"family": "family", "description": "d"}
    scenarios = [
        {
            **scenario,
            "id": f"scenario-{number}",
            "phase": [save, {**load, "variables": {"NUMBER": str(number)}}],
        }
        for number in range(cases // flavors)
    ]
    return Catalog.model_validate({"flavors": made, "scenarios": scenarios, "environments": made})


class Seconds(NamedTuple):
    """Seconds that something took: by the clock, and of this process on a core."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:6.2f} s, CPU {self.cpu:6.2f} s"


def measure(name: str, action: Callable[[], object]) -> Seconds:
    """Prints the spread; returns the medians."""
    walls, cpus = [], []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    print(
        f"{name:<40} {min(walls):6.2f} to {max(walls):6.2f} s,"
        f" CPU {min(cpus):6.2f} to {max(cpus):6.2f} s"
    )
    return Seconds(statistics.median(walls), statistics.median(cpus))


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    record = build(cases)
    content = record.model_dump_json()
    print(f"{cases:,} cases, {len(record.phases):,} phases, 5 % of the cases fail")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "run"
        many = catalog_of(cases)
        parts = [
            measure("plan", lambda: planner.make(many, share=False)),
            measure("record.json, written", lambda: store.write(record, directory)),
            measure("JUnit, no logs at hand", lambda: junit.write(record, directory)),
        ]
        measure("record.json, read", lambda: store.load(directory))
        total = Seconds(sum(part.wall for part in parts), sum(part.cpu for part in parts))
        print(f"{'plan + record + JUnit, medians':<40} {total}; goal 5 s for 10,000 cases")
        measure("summary.md", lambda: summary.write(record, directory))
        measure("pages, no logs at hand", lambda: pages.write(record, directory))
        records.logs(record, directory)
        measure("pages, logs of every phase linked", lambda: pages.write(record, directory))
        measure("JUnit, logs of every phase linked", lambda: junit.write(record, directory))
        everything = measure(
            "all reports, logs of every phase linked", lambda: report.write_all(record, directory)
        )
        print(f"{'all reports, medians':<40} {everything}; goal 10 s for 10,000 cases")
        overview = (directory / pages.FILE).stat().st_size
        size = sum(path.stat().st_size for path in (directory / "junit").iterdir())
        big = atomic.write(directory / "phases" / record.phases[0].key / "stderr.log", b"")
        with big.open("r+b") as file:
            file.truncate(2**30)  # a sparse file: 1 GiB
        measure("JUnit, one log of 1 GiB", lambda: junit.write(record, directory))
    print(
        f"record.json {len(content) / 1e6:.1f} MB, JUnit {size / 1e6:.1f} MB,"
        f" index.html {overview / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
