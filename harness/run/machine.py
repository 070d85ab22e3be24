"""This machine: which GPU and which engine a run can use, and what to say when it falls back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.base.error import UsageError
from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Engine
from harness.engine.venv.engine import VenvEngine
from harness.measure.gpu import Gpu
from harness.run.gpu_choice import choose_gpu

VIRTUAL_NOTE = (
    "no GPU used: a second logical CPU device stands in for it (virtual accelerator). Save, load,"
    " graph edits, copies and peaks are real; a GPU's driver and memory are not covered"
)


@dataclass(frozen=True)
class Machine:
    """What a run uses.

    Attributes:
        notes: the fallbacks that were taken, for the reports.
    """

    engine: Engine
    gpu: Gpu | None
    notes: tuple[str, ...]


def choose(gpu: str, engine: str, cache: Path, reports: Path | None = None) -> Machine:
    """Picks the GPU and the engine.

    Args:
        gpu: "auto", "none", an index or a UUID.
        engine: "auto", "docker" or "venv".
        reports: where the files of phases will be.

    Raises:
        UsageError: what was asked for cannot be used; nothing was built or run.
    """
    notes: list[str] = []
    choice = choose_gpu(gpu)
    notes += choice.skipped
    if choice.gpu is None:
        reason = f" ({choice.missing})" if choice.missing else ""
        notes.append(VIRTUAL_NOTE + reason)
    chosen_engine, missing = choose_engine(engine, choice.gpu, cache, reports)
    if missing:
        notes.append(
            "phases run on the embedded default, the venv engine: fresh processes of the same"
            f" pinned environments, not isolated by containers ({missing})"
        )
    return Machine(chosen_engine, choice.gpu, tuple(notes))


def choose_engine(
    name: str, gpu: Gpu | None, cache: Path, reports: Path | None = None
) -> tuple[Engine, str]:
    """The engine, and why Docker is not it where it fell back ("" where it did not).

    Raises:
        UsageError: the engine cannot run phases here, or not on that GPU.
    """
    if name == "venv":
        return VenvEngine(cache), ""
    capability = None if gpu is None else gpu.compute_capability
    docker = DockerEngine(
        capability, directories=[path for path in (cache, reports) if path], cache=cache
    )
    docker.check_settings()  # what is mistyped is no reason to fall back
    try:
        docker.preflight(None)
    except UsageError as problem:
        if name == "docker":
            raise
        return VenvEngine(cache), str(problem)
    # A daemon that answers but cannot hand out the GPU is no reason to fall back: the user has
    # both, and a run that quietly tested less would be taken for a pass.
    docker.preflight(None if gpu is None else gpu.uuid)
    return docker, ""
