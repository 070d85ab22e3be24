"""Wall time of tf1-tfkeras and keras_saveload in containers against the same on `venv`.

Prints the median ratio of pairs run in turn. Needs a daemon, and the base image of the flavor or
one in its place (BASE_IMAGE_TF1_TFKERAS; tests/containers/make-base-images prints it).

    .venv/bin/python benchmarks/engines.py [PAIRS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def wall(engine: str) -> float:
    """Seconds of the run on an engine; its exit code has to be 0."""
    with tempfile.TemporaryDirectory() as reports:
        command = [
            *(sys.executable, "-m", "harness", "run", f"--engine={engine}", "--gpu=none"),
            *("--flavors=tf1-tfkeras", "--families=keras_saveload", f"--reports={reports}"),
        ]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        seconds = time.perf_counter() - begin
    if done.returncode != 0:
        sys.exit(f"{engine} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr}")
    return seconds


def main(pairs: int) -> None:
    """Prints each pair and the median ratio."""
    for engine in ("venv", "docker"):
        wall(engine)  # what has to be made first is made
    ratios = []
    for number in range(1, pairs + 1):
        embedded, contained = wall("venv"), wall("docker")
        ratios.append(contained / embedded)
        print(f"pair {number}: docker {contained:.1f} s / venv {embedded:.1f} s = {ratios[-1]:.2f}")
    print(
        f"wall in containers / on venv: {statistics.median(ratios):.2f}"
        f" ({min(ratios):.2f}-{max(ratios):.2f}); goal 1.25"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
