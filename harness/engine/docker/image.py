"""Images of the flavors: built once for each set of inputs, named by ID ever after."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient

from harness.base.error import EngineError, UnavailableError, UsageError
from harness.catalog.flavors import Flavor, Image
from harness.engine.docker import base_image, build, contents
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon

# Digest of everything that goes into an image; the image with the same one is reused.
INPUTS_LABEL = f"{LABEL}.inputs"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """An image that is there.

    Attributes:
        provenance: flat facts: ID, base image with ID and digest, requirements, packages, ...
        notes: what the reader of a report must know of it.
    """

    id: str
    provenance: Mapping[str, str]
    notes: tuple[str, ...] = ()


def choose(flavor: Flavor, accelerator: str, capability: tuple[int, int] | None) -> Image:
    """The flavor's way to build for an accelerator.

    Raises:
        UnavailableError: the flavor has none for it.
    """
    for image in flavor.image:
        if image.supports(accelerator, capability):
            return image
    gpu = f" of compute capability {capability[0]}.{capability[1]}" if capability else ""
    what = f"a GPU{gpu}" if accelerator == "gpu" else "a machine without a GPU"
    raise UnavailableError(f"{flavor.id} has no image for {what} in its flavor.toml")


def base_reference(
    flavor: Flavor, image: Image, environ: Mapping[str, str] = os.environ
) -> tuple[str, str]:
    """The base image to build on, and the variable that names it, or may name another one."""
    variable = "BASE_IMAGE_" + flavor.id.upper().replace("-", "_")
    if not environ.get(variable) and environ.get("BASE_IMAGE"):
        return environ["BASE_IMAGE"], "BASE_IMAGE"
    return environ.get(variable) or image.base, variable


def prepare(
    daemon: Daemon,
    flavor: Flavor,
    accelerator: str,
    capability: tuple[int, int] | None,
    progress: Progress,
    cancel: threading.Event,
) -> Built:
    """Returns the flavor's image, building it when there is none with the same inputs.

    Raises:
        UnavailableError: the flavor does not support the accelerator.
        EngineError: the base image cannot be had, or the build broke; one line with the log's path.
        StoppedError: `cancel` was set; nothing goes on, and nothing half made is left.
    """
    image = choose(flavor, accelerator, capability)
    reference, variable = base_reference(flavor, image)
    docker = flavor.directory.parent.parent
    logs = _log_directory(docker.parent)
    try:
        client = daemon.client()
        base = base_image.find(daemon, reference, variable, docker, progress, cancel)
        files = {
            "Dockerfile": (docker / "Dockerfile").read_bytes(),
            "requirements-build.txt": (docker / "requirements-build.txt").read_bytes(),
            "requirements.txt": (flavor.directory / image.requirements).read_bytes(),
        }
        inputs = inputs_digest(files, base.id, flavor.python)
        image_id = _find(client, inputs)
        if image_id is None:
            image_id = build.run(
                daemon,
                flavor,
                files,
                base,
                indexes=flavor.indexes.get(image.accelerator, ()),
                labels={INPUTS_LABEL: inputs},
                tag=f"{LABEL}/{flavor.id}:{inputs[:12]}",
                log=logs / f"{flavor.id}-{accelerator}.log",
                progress=progress,
                cancel=cancel,
            )
        inside = contents.read(client, image_id, logs)
    except UsageError as problem:
        raise EngineError(f"{flavor.id}: {problem}") from problem  # too late for a preflight
    except ERRORS as problem:
        raise EngineError(f"{flavor.id}: image: {daemon.explain(problem)}") from problem
    locked = hashlib.sha256(files["requirements.txt"]).hexdigest()
    named_by = "flavor.toml"
    if reference != image.base:
        named_by = f"{variable}, in place of {image.base}"
    provenance = {
        "image": image_id,
        "image inputs": inputs,
        "base image": base.reference,
        "base image named by": named_by,
        "base image id": base.id,
        "base image digest": base.digest or "none (made on this machine)",
        "base image pin": base.pin,
        "python": inside.python,
        "requirements": f"{image.requirements} sha256:{locked}",
        "packages": " ".join(inside.packages),
        "packages sha256": hashlib.sha256("\n".join(inside.packages).encode()).hexdigest(),
        "packages file": str(inside.file),
    }
    notes = (f"base not pinned: {reference} ({base.not_pinned})",) if base.not_pinned else ()
    return Built(image_id, provenance, notes)


def inputs_digest(files: Mapping[str, bytes], base: str, python: str) -> str:
    """Digest of everything that goes into an image.

    Args:
        base: ID of the base image.
        python: the version that is looked for in it.
    """
    facts = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    facts.update(base=base, python=python)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def remove_all(client: APIClient) -> list[str]:
    """Removes every image of ours, with what a killed build left; a line for each image."""
    ours = client.images(filters={"label": INPUTS_LABEL})
    removed = []
    for entry in ours:
        with contextlib.suppress(*ERRORS):
            client.remove_image(entry["Id"], force=True)
            removed.append(f"image {' '.join(entry.get('RepoTags') or [entry['Id']])}")
    build.clear(client, build.BUILD_LABEL)
    return removed


def _find(client: APIClient, inputs: str) -> str | None:
    found = client.images(filters={"label": f"{INPUTS_LABEL}={inputs}"})
    newest = max(found, key=lambda entry: int(entry["Created"]), default=None)
    return None if newest is None else str(newest["Id"])


def _log_directory(root: Path) -> Path:
    """Where logs are kept: the checkout's cache, or a temporary place where it is not writable."""
    directory = root / ".cache" / "images"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = os.access(directory, os.W_OK)
    except OSError:
        probe = False
    return directory if probe else Path(tempfile.mkdtemp(prefix=f"{LABEL}-images-"))
