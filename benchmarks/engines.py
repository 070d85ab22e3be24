"""Wall time of tf1-tfkeras and keras_saveload in containers against the same on `venv`.

Prints the median ratio of pairs run in turn. Needs a daemon, and the base image of the flavor or
one in its place (BASE_IMAGE_TF1_TFKERAS; tests/containers/make-base-images prints it).

    .venv/bin/python benchmarks/engines.py [PAIRS]
"""

from __future__ import annotations

import statistics
import sys

from timing import wall

PART = ("--flavors=tf1-tfkeras", "--families=keras_saveload")


def main(pairs: int) -> None:
    """Prints each pair and the median ratio."""
    for engine in ("venv", "docker"):
        wall(f"--engine={engine}", *PART)  # what has to be made first is made
    ratios = []
    for number in range(1, pairs + 1):
        embedded, contained = wall("--engine=venv", *PART), wall("--engine=docker", *PART)
        ratios.append(contained / embedded)
        print(f"pair {number}: docker {contained:.1f} s / venv {embedded:.1f} s = {ratios[-1]:.2f}")
    print(
        f"wall in containers / on venv: {statistics.median(ratios):.2f}"
        f" ({min(ratios):.2f}-{max(ratios):.2f}); goal 1.25"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
