"""Which GPUs a run gets: those that were asked for, else the first that it may use.

What a scheduler or a user has set is honoured where `auto` is asked for: CUDA_VISIBLE_DEVICES, and
the variables of Slurm (https://slurm.schedmd.com/gres.html, `srun`'s and `sbatch`'s manual pages).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.base.error import UsageError
from harness.measure.gpu import (
    GPU_NONE,
    Gpu,
    LibraryNotFoundError,
    MigEnabledError,
    NoSuchGpuError,
    NvmlError,
)
from harness.measure.nvml import Nvml

_CUDA = "CUDA_VISIBLE_DEVICES"
# Ids of the whole machine, a step's before its job's.
_SLURM = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
# Slurm sets it beside CUDA_VISIBLE_DEVICES, in the same numbers.
_ORDINAL = "GPU_DEVICE_ORDINAL"
# Slurm's word for a step that has no GPU.
_HIDDEN = ("", "-1", "NoDevFiles")


@dataclass(frozen=True)
class Choice:
    """The GPUs of a run.

    Attributes:
        gpus: in the order in which they were asked for; empty for the virtual accelerator.
        missing: why there is none; "" where none was wanted.
        skipped: GPUs that could not be used, each with its reason, for the reports.
    """

    gpus: tuple[Gpu, ...] = ()
    missing: str = ""
    skipped: tuple[str, ...] = ()


def choose_gpus(selector: str, variables: Mapping[str, str] = os.environ) -> Choice:
    """The GPUs that a selector stands for.

    Args:
        selector: "auto" (one), "none", "all", or an index of NVML's or a UUID, or several of those
            with commas. What is named is taken whatever the variables say.
        variables: the environment.

    Raises:
        UsageError: a GPU that was asked for cannot be used; or "auto" or "all" was, and there is
            a driver that is broken or a GPU that cannot be used. A run that quietly tested less
            would be taken for a pass.
    """
    if selector == "none":
        return Choice()
    if selector == "auto" and (hidden := _hidden(variables)):
        return Choice(missing=f"{hidden} hides every GPU")
    try:
        with Nvml() as nvml:
            if selector == "auto":
                return _automatic(nvml, variables)
            return Choice(_all(nvml, variables) if selector == "all" else _named(nvml, selector))
    except LibraryNotFoundError as problem:
        if selector == "auto":
            return Choice(missing=str(problem))
        raise UsageError(f"--gpu {selector}: {problem}") from problem
    except NvmlError as problem:
        raise UsageError(f"--gpu {selector}: {problem}") from problem


def _named(nvml: Nvml, selector: str) -> tuple[Gpu, ...]:
    """The GPUs that a list names; raises NvmlError."""
    found: dict[str, str] = {}
    gpus = []
    for name in (part.strip() for part in selector.split(",")):
        if name in ("", "auto", "all", "none"):
            raise NoSuchGpuError(f"'{name}' cannot stand in a list of GPUs, {GPU_NONE}")
        gpu = nvml.find_gpu(name)
        if gpu.uuid in found:
            raise NoSuchGpuError(
                f"'{found[gpu.uuid]}' and '{name}' are the same GPU, {gpu.uuid}: name each once,"
                f" {GPU_NONE}"
            )
        found[gpu.uuid] = name
        gpus.append(gpu)
    return tuple(gpus)


def _all(nvml: Nvml, variables: Mapping[str, str]) -> tuple[Gpu, ...]:
    """Every GPU that the variables allow, where there is one, and none is broken.

    Raises:
        NvmlError: there is none, or one of them cannot be used.
    """
    if hidden := _hidden(variables):
        raise NoSuchGpuError(f"{hidden} hides every GPU, {GPU_NONE}")
    usable, problems = nvml.scan()
    if not usable and not problems:
        raise NoSuchGpuError(f"NVML sees no GPU, {GPU_NONE}")
    named = _allowed(usable, variables)
    if named is None:
        if problems:  # it is one of all
            raise next(iter(problems.values()))
        named = [gpu.uuid for gpu in usable]
    return tuple(nvml.find_gpu(uuid) for uuid in named)


def _hidden(variables: Mapping[str, str]) -> str:
    """The setting that leaves a run without a GPU, or ""."""
    for name in (_CUDA, _ORDINAL):
        entries = _entries(variables.get(name))
        if entries is not None and entries[0] in _HIDDEN:
            return f"{name}={variables[name]}"
        if entries is not None:
            return ""
    return ""


def _entries(value: str | None) -> list[str] | None:
    return None if value is None else [entry.strip() for entry in value.split(",")]


def _automatic(nvml: Nvml, variables: Mapping[str, str]) -> Choice:
    """The first GPU that may be used; raises NvmlError where none of those can be."""
    usable, problems = nvml.scan()
    if not usable and not problems:
        return Choice(missing="NVML sees no GPU")
    named = _allowed(usable, variables)
    skipped: list[str] = []
    if named is None:  # a forbidden GPU is news only where nobody has set what may be used
        named = [gpu.uuid for gpu in usable]
        skipped = [f"skipped: {problem}" for problem in problems.values()]
    split: list[str] = []
    for uuid in named:
        try:
            return Choice((nvml.find_gpu(uuid),), skipped=(*skipped, *split))
        except MigEnabledError as problem:
            split.append(f"skipped: {problem}")
    if split:
        raise MigEnabledError("; ".join(text.removeprefix("skipped: ") for text in split))
    raise next(iter(problems.values()))


def _allowed(usable: Sequence[Gpu], variables: Mapping[str, str]) -> list[str] | None:
    """UUIDs of the GPUs that the variables allow, in their order; None where none is set.

    Raises:
        NoSuchGpuError: they name none that can be used, or do not say which.
    """
    slurm = next((name for name in _SLURM if variables.get(name)), None)
    of_slurm = None if slurm is None else _of_slurm(usable, slurm, variables[slurm])
    name = next((name for name in (_CUDA, _ORDINAL) if variables.get(name)), None)
    entries = None if name is None else _entries(variables[name])
    if name is None or entries is None:
        return of_slurm
    if not all(entry.isdecimal() for entry in entries):
        # CUDA takes the start of a UUID too, and sees nothing from the first wrong entry on.
        return list(entries)
    if of_slurm is not None and len(of_slurm) == len(entries):
        return of_slurm  # the numbers may be the job's own, the GPUs are the same
    setting = f"{name}={variables[name]}"
    if len(usable) > 1 and variables.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        raise NoSuchGpuError(
            f"{setting} counts GPUs in CUDA's order, fastest first, which NVML does not know: set"
            f" CUDA_DEVICE_ORDER=PCI_BUS_ID or name a UUID ({_names(usable)}), {GPU_NONE}"
        )
    # CUDA numbers what it may open, and sees nothing from the first wrong entry on.
    chosen = []
    for entry in entries:
        if int(entry) >= len(usable):
            break
        chosen.append(usable[int(entry)].uuid)
    if not chosen:
        raise _none(setting, usable)
    return chosen


def _of_slurm(usable: Sequence[Gpu], name: str, value: str) -> list[str]:
    """UUIDs of the GPUs that Slurm gave to the job or step; its ids are those of the machine."""
    ids: list[int] = []
    for entry in value.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", entry)
        if match is None:
            raise NoSuchGpuError(f"{name}={value} is no list of GPU ids, {GPU_NONE}")
        ids += range(int(match[1]), int(match[2] or match[1]) + 1)
    by_index = {gpu.index: gpu.uuid for gpu in usable}
    found = [by_index[number] for number in ids if number in by_index]
    if len(found) < len(ids) and len(usable) == len(ids):
        # A container that holds only the job's GPUs numbers them from 0.
        return [gpu.uuid for gpu in usable]
    if not found:
        raise _none(f"{name}={value}", usable)
    return found


def _none(setting: str, usable: Sequence[Gpu]) -> NoSuchGpuError:
    return NoSuchGpuError(f"{setting} names no GPU that can be used ({_names(usable)}), {GPU_NONE}")


def _names(usable: Sequence[Gpu]) -> str:
    names = ", ".join(f"{gpu.index}: {gpu.uuid}" for gpu in usable[:16])
    return names or "there is none"
