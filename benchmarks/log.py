"""Speed and memory of the log parser, on a log like a long training writes.

    python benchmarks/log.py [--mib 200] [--runs 3]

Prints MB/s (10^6 bytes) of each run, the spread, and the peak resident memory of the process that
parses, in a process of its own so that generating the log does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRESS = (
    "\r{step:4d}/3000 [{bar}] - ETA: {eta}s - loss: {loss:.4f} - accuracy: 0.{accuracy:04d}{rub}"
)
INFO = (
    "2024-01-01 10:00:{second:02d}.{micro:06d}: I tensorflow/core/grappler/optimizers/"
    "meta_optimizer.cc:{line}] constant_folding: Graph size after: 1287 nodes (-3), 1893 edges,"
    " time = 12.3ms.\n"
)
LMS = (
    "INFO:tensorflow:[LMS][1] Control dependency: conv2d_{n}/Conv2D => lms/swapin_{n} (level {n})\n"
)


def write(path: Path, mib: int) -> None:
    """A log of this size: progress bars with carriage returns, TensorFlow's lines, some markers."""
    size, epoch = 0, 0
    with path.open("w", encoding="utf-8", newline="") as file:
        while size < mib << 20:
            epoch += 1
            parts = [f"Epoch {epoch}/1000\n"]
            for step in range(0, 3000, 3):
                done = step // 100
                parts.append(
                    PROGRESS.format(
                        step=step,
                        bar="=" * done + ">" + "." * (29 - done),
                        eta=3000 - step,
                        loss=2.3 / (1 + epoch / 10) + step / 1e5,
                        accuracy=9000 + step // 10,
                        rub="\b" * 80 if step % 2 else "",
                    )
                )
            parts.append("\n")
            for n in range(200):
                parts.append(INFO.format(second=n % 60, micro=n * 4001, line=n + 500))
                parts.append(LMS.format(n=n))
            fact = {"event": "metric", "name": "loss", "value": 1 / epoch, "epoch": epoch}
            parts.append(f":::LMS {json.dumps(fact)}\n")
            text = "".join(parts)
            size += file.write(text)
        file.write(':::LMS {"event": "done"}\n')


def measure(path: Path) -> None:
    from harness.logs.parser import parse

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    facts = parse(path)
    seconds = time.perf_counter() - start
    assert facts.done
    assert facts.metrics
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "before_kib": before, "peak_kib": peak}))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--mib", type=int, default=200)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        measure(given.measure)
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "stdout.log"
        write(path, given.mib)
        size = path.stat().st_size
        root = Path(__file__).resolve().parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root)}
        speeds = []
        for run in range(1, given.runs + 1):
            command = [sys.executable, __file__, "--measure", str(path)]
            output = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            ).stdout
            figures = json.loads(output)
            speeds.append(size / figures["seconds"] / 1e6)
            print(
                f"run {run}: {speeds[-1]:.0f} MB/s, peak RSS {figures['peak_kib'] / 1024:.1f} MiB"
                f" ({figures['before_kib'] / 1024:.1f} MiB before parsing)"
            )
        print(
            f"{size / 1e6:.0f} MB: median {sorted(speeds)[len(speeds) // 2]:.0f} MB/s,"
            f" {min(speeds):.0f} to {max(speeds):.0f}"
        )


if __name__ == "__main__":
    main()
