"""This machine: which GPU and which engine a run can use, and what to say when it falls back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.error import UnavailableError, UsageError
from harness.catalog.flavors import Flavor
from harness.engine.docker import image
from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Engine
from harness.engine.venv.engine import VenvEngine
from harness.measure.gpu import Gpu
from harness.run.gpu_choice import choose_gpus

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
    gpus: tuple[Gpu, ...]
    notes: tuple[str, ...]


def choose(gpu: str, engine: str, cache: Path, reports: Path | None = None) -> Machine:
    """Picks the GPU and the engine.

    Args:
        gpu: "auto", "none", "all", or indices and UUIDs with commas.
        engine: "auto", "docker" or "venv".
        reports: where the files of phases will be.

    Raises:
        UsageError: what was asked for cannot be used; nothing was built or run.
    """
    notes: list[str] = []
    choice = choose_gpus(gpu)
    notes += choice.skipped
    if not choice.gpus:
        reason = f" ({choice.missing})" if choice.missing else ""
        notes.append(VIRTUAL_NOTE + reason)
    chosen_engine, missing = choose_engine(engine, choice.gpus, cache, reports)
    if missing:
        notes.append(
            "phases run on the embedded default, the venv engine: fresh processes of the same"
            f" pinned environments, not isolated by containers ({missing})"
        )
    return Machine(chosen_engine, choice.gpus, tuple(notes))


def require_one_image(flavors: Iterable[Flavor], gpus: Sequence[Gpu]) -> None:
    """Looks whether each flavor has one image that runs on all of the GPUs.

    Raises:
        UsageError: one has not: its phases would not be of one environment.
    """
    capabilities = {gpu.compute_capability for gpu in gpus}
    for flavor in flavors if len(capabilities) > 1 else ():
        images = []
        for capability in capabilities:
            with contextlib.suppress(UnavailableError):
                images.append(image.choose(flavor, "gpu", capability))
        if len(images) < len(capabilities) or any(other != images[0] for other in images):
            told = ", ".join(
                f"{gpu.index}: {'.'.join(map(str, gpu.compute_capability or ('?',)))}"
                for gpu in gpus
            )
            raise UsageError(
                f"{flavor.id} has no image that runs on all of these GPUs (compute capability of"
                f" {told}): run them apart, each with GPU=..., or use ENGINE=venv"
            )


def choose_engine(
    name: str, gpus: Sequence[Gpu], cache: Path, reports: Path | None = None
) -> tuple[Engine, str]:
    """The engine, and why Docker is not it where it fell back ("" where it did not).

    Raises:
        UsageError: the engine cannot run phases here, or not on one of the GPUs.
    """
    if name == "venv":
        return VenvEngine(cache), ""
    docker = DockerEngine(
        gpus[0].compute_capability if gpus else None,
        directories=[path for path in (cache, reports) if path],
        cache=cache,
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
    for gpu in gpus:
        docker.preflight(gpu.uuid)
    return docker, ""
