"""All benchmarks, one after another: what `make bench` prints.

Every figure is a ratio measured in one run, or an absolute with its spread. What cannot be had on
this machine is named, and nothing is printed for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from harness.base.error import HarnessError
from harness.catalog import catalog
from harness.engine.venv.engine import VenvEngine

ROOT = Path(__file__).resolve().parent.parent
DRIVER = sys.executable


def main() -> int:
    """Runs the benchmarks; returns 1 if one failed."""
    (flavor,) = catalog.load(ROOT).select(["tf1-tfkeras"]).flavors
    try:
        tensorflow = (
            VenvEngine(ROOT / ".cache").prepare(flavor, "virtual", print, threading.Event()).handle
        )
    except HarnessError as problem:
        tensorflow = ""
        print(f"not measured: LMS and the matrix: {problem}")
    benchmarks = [
        ("wall of the matrix against its bare phases", "matrix.py", DRIVER if tensorflow else ""),
        ("wall of the matrix in containers against venv", "engines.py", DRIVER),
        ("LMS editing time, peak and step time", "lms.py", tensorflow),
        ("what the harness adds to a bare docker run", "container.py", DRIVER),
        ("sampler at 20 Hz", "sampler.py", DRIVER),
        ("log parser", "log.py", DRIVER),
        ("plan, records and reports of 10,000 cases", "report.py", DRIVER),
        ("order and bookkeeping of a run of 10,000 cases", "schedule.py", DRIVER),
    ]
    failed = []
    for title, script, python in benchmarks:
        if python:
            print(f"\n== {title} ({script})", flush=True)
            path = str(ROOT / "scenarios") if python == tensorflow else str(ROOT)
            variables = {**os.environ, "PYTHONPATH": path}
            if subprocess.run([python, f"benchmarks/{script}"], cwd=ROOT, env=variables).returncode:
                failed.append(script)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
