"""The whole command on GPUs that the fake NVML library plays, through the real `pynvml`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import fake_nvml
from tests.paths import ROOT
from tests.projects import FLAVOR

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


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
