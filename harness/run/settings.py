"""How a run is done: what the user asked for, and what this machine adds to it."""

from __future__ import annotations

import contextlib
import platform
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.text import one_line
from harness.catalog.providers import BUILTIN, Provider
from harness.comparison.baseline import Baseline
from harness.engine.resources import Resources
from harness.record.origin import ShardRecord
from harness.resumption.source import Source

# What a TensorFlow phase takes at its peak, measured on the MNIST scenarios, with room to spare.
_PHASE_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Settings:
    """How a run is done.

    Attributes:
        root: the checkout.
        reports: the directory that gets one directory a run.
        data: data sets for the phases.
        providers: files of providers that are none of the checkout's, by the provider's name.
        lms_path: parent directory of a foreign LMS package, or None.
        jobs: phases at a time on the CPU; None: as many as cores and memory allow.
        keep: keep artifacts of cases that passed, too.
        gpu_wait_s: seconds to wait for the GPU's memory to be clear before a phase starts.
        command: the command line, for the record.
        options: `make` variables that a reproduction needs as well, e.g. {"ENGINE": "venv"}.
        notes: what the reader of the reports must know (fallbacks that were taken).
        strict: known defects fail the run.
        baseline: what the reports compare the run with, or None.
        basis: what the results follow from (`plan.identity.basis`).
        given: the options that say what is run, for a run that goes on with this one.
        shard: the part of the plan that is run, or None for the whole.
        source: the run that this one goes on with, or None.
    """

    root: Path
    reports: Path
    data: Path
    lms_path: Path | None = None
    providers: Mapping[str, Provider] = field(default_factory=dict)
    jobs: int | None = None
    keep: bool = False
    share: bool = True
    gpu_wait_s: float = 120.0
    command: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    strict: bool = False
    baseline: Baseline | None = None
    basis: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    shard: ShardRecord | None = None
    source: Source | None = None

    def jobs_on_cpu(self, resources: Resources) -> int:
        """Phases at a time on the CPU: as asked, else as cores and memory allow."""
        if self.jobs is not None:
            return self.jobs
        return max(1, min(resources.cores, memory_limit(resources, 1) // _PHASE_MEMORY))

    def reproduce(self, flavor: str, scenario: str, provider: Provider = BUILTIN) -> str:
        """The command that runs one case by hand."""
        options = dict(self.options)
        if provider != BUILTIN:
            options["LMS_PROVIDER"] = provider.variable
        words = [f"{name}={shlex.quote(value)}" for name, value in options.items()]
        return " ".join(["make repro", f"FLAVOR={flavor}", f"SCENARIO={scenario}", *words])


def memory_limit(resources: Resources, jobs: int) -> int:
    """Bytes one phase may use: nine tenths of what there is, divided among the jobs.

    On a GPU host memory is where swapped tensors go, and pinned pages count against the limit.
    """
    return resources.memory_bytes * 9 // (10 * jobs)


def host_facts(resources: Resources) -> dict[str, Any]:
    """The machine: name, processor, cores and memory that phases may use, kernel, Python."""
    return {
        "hostname": platform.node(),
        "processor": _processor(),
        "cores": resources.cores,
        "memory_bytes": resources.memory_bytes,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "driver_python": platform.python_version(),
    }


def _processor() -> str:
    """The model of the processor, as Linux names it; else what Python knows.

    `model name` is that of x86-64; on other machines `/proc/cpuinfo` has other words.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return one_line(value.strip(), 100)
    return platform.processor()
