"""How a run is done: what the user asked for, and what this machine adds to it."""

from __future__ import annotations

import math
import os
import platform
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

# What a TensorFlow phase takes at its peak, measured on the MNIST scenarios, with room to spare.
_PHASE_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Settings:
    """How a run is done.

    Attributes:
        root: the checkout.
        reports: the directory that gets one directory a run.
        data: data sets for the phases.
        lms_path: parent directory of a foreign LMS package, or None.
        jobs: phases at a time on the CPU; None: as many as cores and memory allow.
        keep: keep artifacts of cases that passed, too.
        gpu_wait_s: seconds to wait for the GPU's memory to be clear before a phase starts.
        command: the command line, for the record.
        options: `make` variables that a reproduction needs as well, e.g. {"ENGINE": "venv"}.
        notes: what the reader of the reports must know (fallbacks that were taken).
    """

    root: Path
    reports: Path
    data: Path
    lms_path: Path | None = None
    jobs: int | None = None
    keep: bool = False
    share: bool = True
    gpu_wait_s: float = 120.0
    command: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def jobs_on_cpu(self) -> int:
        """Phases at a time on the CPU: as asked, else as cores and memory allow."""
        if self.jobs is not None:
            return self.jobs
        memory = psutil.virtual_memory().available // _PHASE_MEMORY
        return max(1, min(os.cpu_count() or 1, memory))

    def reproduce(self, flavor: str, scenario: str) -> str:
        """The command that runs one case by hand."""
        words = [f"{name}={shlex.quote(value)}" for name, value in self.options.items()]
        return " ".join(["make repro", f"FLAVOR={flavor}", f"SCENARIO={scenario}", *words])


def memory_limit(jobs: int) -> int:
    """Bytes one phase may use: nine tenths of the machine, divided among the jobs.

    On a GPU host memory is where swapped tensors go, and pinned pages count against the limit.
    """
    return math.floor(psutil.virtual_memory().total * 0.9 / jobs)


def host_facts() -> dict[str, Any]:
    """The machine: name, cores, memory in bytes, kernel, Python of the driver."""
    return {
        "hostname": platform.node(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "driver_python": platform.python_version(),
    }
