"""The whole command on GPUs that the fake NVML library plays, through the real `pynvml`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import fake_nvml
from tests.paths import ROOT
from tests.projects import FLAVOR

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

# What a script begins with that plays a phase on the GPU of the file that LIVE_FILE names.
PLAYS = """
import json, os, sys, time

path = os.environ["LIVE_FILE"]
sent_before = int(open(path).read().split()[3])

def write_live(text):
    with open(path + ".tmp", "w") as file:
        file.write(text)
    os.replace(path + ".tmp", path)

def sampled(count):
    # The sampler writes a line for each sample: a loaded machine may take its time for one.
    csv = os.path.join(os.path.dirname(os.environ["OUTPUT_DIR"]), "samples.csv")
    lines = lambda: len(open(csv).readlines()) if os.path.exists(csv) else 0
    wanted, late = lines() + count, time.monotonic() + 60
    while lines() < wanted and time.monotonic() < late:
        time.sleep(0.02)

def mark(event, **fields):
    print(":::LMS " + json.dumps(dict(event=event, t=time.monotonic(), **fields)), flush=True)
"""


def flavor(**variables: object) -> str:
    """A flavor for the interpreter of the tests, with these variables in its phases."""
    lines = [f'{name} = "{value}"\n' for name, value in variables.items()]
    return FLAVOR.replace("3.11", PYTHON) + "\n[variables]\n" + "".join(lines)


def run(
    library: Path, scenario: Path, *arguments: str, timeout: float = 180
) -> subprocess.CompletedProcess[str]:
    """Runs `harness`; what it printed and its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=ROOT,
        env={
            **fake_nvml.environment(library, scenario),
            f"PYTHON_{PYTHON.replace('.', '_')}": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=timeout,
    )
