"""How long a run of the harness takes, for the benchmarks beside this file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def wall(*options: str) -> float:
    """Seconds of `harness run` without a GPU; its exit code has to be 0."""
    with tempfile.TemporaryDirectory() as reports:
        command = [
            *(sys.executable, "-m", "harness", "run", "--gpu=none", f"--reports={reports}"),
            *options,
        ]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        seconds = time.perf_counter() - begin
    if done.returncode != 0:
        told = " ".join(options)
        sys.exit(f"{told} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr}")
    return seconds
