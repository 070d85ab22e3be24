"""Wall time of the tf1-tfkeras and tf1-keras22 matrix against its bare phases.

The matrix: 16 cases with all evidence and meters, several phases at a time, and beside the 25
phases of the scenarios all that these are compared with: controls, references, straights. The bare
phases: the 25 scripts one after another, each in its environment, with no digest, trace, sampler or
record (LMS_MEASURE=0), TensorFlow's own default of threads. Prints the median ratio of pairs run in
turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from timing import wall

from harness.catalog import catalog
from harness.engine.venv.engine import VenvEngine
from harness.plan import plan, planner

ROOT = Path(__file__).resolve().parent.parent
FLAVORS = ["tf1-tfkeras", "tf1-keras22"]


def main(pairs: int = 3) -> None:
    """Prints each pair and the median ratio."""
    selected = catalog.load(ROOT).select(FLAVORS, ["keras_saveload"])
    made = planner.make(selected)
    engine = VenvEngine(ROOT / ".cache")
    pythons = {
        flavor.id: engine.prepare(flavor, "virtual", print, threading.Event()).handle
        for flavor in selected.flavors
    }
    phases = {use.key for case in made.cases for use in case.uses}
    bare_tasks = [task for task in made.tasks.values() if task.key in phases]
    cases = sum(case.skip is None for case in made.cases)
    print(f"matrix: {cases} cases, {len(made.tasks)} executions; bare: {len(bare_tasks)}")
    ratios = []
    for number in range(1, pairs + 1):
        bare_s, matrix_s = bare(bare_tasks, pythons), matrix()
        ratios.append(matrix_s / bare_s)
        print(f"pair {number}: matrix {matrix_s:.1f} s / bare {bare_s:.1f} s = {ratios[-1]:.2f}")
    print(
        f"wall of the matrix / bare phases: {statistics.median(ratios):.2f}"
        f" ({min(ratios):.2f}-{max(ratios):.2f}); goal 0.7, moonshot 0.5"
    )


def bare(tasks: list[plan.Task], pythons: dict[str, str]) -> float:
    """Seconds of the phases one after another."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        begin = time.perf_counter()
        for task in tasks:
            output = place / task.key
            output.mkdir()
            variables = {
                "PATH": os.environ["PATH"],
                "HOME": name,
                "PYTHONPATH": str(ROOT / "scenarios"),
                "LMS_PROVIDER": task.provider,
                "LMS_PARAMS": json.dumps(dict(task.parameters)),
                "LMS_MEASURE": "0",
                "ACCELERATOR": "virtual",
                "DATA_DIR": name,
                "OUTPUT_DIR": str(output),
                **task.variables,
            }
            if task.input is not None:
                variables["INPUT_DIR"] = str(place / task.input)
            done = subprocess.run(
                [pythons[task.flavor], str(ROOT / "scenarios" / task.script)],
                env=variables,
                capture_output=True,
                cwd=name,
            )
            if done.returncode != 0:
                sys.exit(f"{task.key}: exit code {done.returncode}\n{done.stderr.decode()[-2000:]}")
        return time.perf_counter() - begin


def matrix() -> float:
    """Seconds of the run with everything."""
    flavors = [f"--flavors={flavor}" for flavor in FLAVORS]
    return wall("--engine=venv", *flavors, "--families=keras_saveload")


if __name__ == "__main__":
    main()
