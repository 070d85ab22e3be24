"""Images of the flavors: built once for each set of inputs, named by ID ever after."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient
from docker.errors import NotFound

from harness.base import atomic, text
from harness.base.claim import Claim
from harness.base.error import EngineError, UnavailableError, UsageError
from harness.catalog.flavors import Flavor, Image
from harness.engine.docker import base_image, build
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.docker.ledger import IMAGE, Ledger

# Digest of everything that goes into an image; the image with the same one is reused.
INPUTS_LABEL = f"{LABEL}.inputs"

_PACKAGES, _PYTHON = "/opt/venv/freeze.txt", "/opt/venv/python.txt"  # the installation leaves them
_LIMIT = 2**20  # bytes of such a file that are read

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
    ledger: Ledger,
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
    docker = flavor.recipes
    logs = docker.parent / ".cache" / "images"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        client = daemon.client()
        base = base_image.find(daemon, reference, variable, docker, progress, cancel)
        files = {name: (docker / name).read_bytes() for name in ("Dockerfile", *build.FILES[:2])}
        files[build.FILES[2]] = (flavor.directory / image.requirements).read_bytes()
        inputs = inputs_digest(files, base.id, flavor.python)
        with _alone(ledger.directory / f"{inputs[:16]}.lock", flavor.id, progress, cancel):
            image_id = _find(client, ledger, inputs)
            if image_id is None:
                image_id = build.run(
                    daemon,
                    ledger,
                    flavor,
                    files,
                    base,
                    indexes=flavor.indexes.get(image.accelerator, ()),
                    labels={INPUTS_LABEL: inputs},
                    tag=f"{LABEL}/{flavor.id}:{inputs[:12]}-{secrets.token_hex(4)}",
                    log=logs / f"{flavor.id}-{accelerator}.log",
                    progress=progress,
                    cancel=cancel,
                )
            ledger.use(image_id)
        inside = _contents(client, ledger, image_id, logs)
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


@contextlib.contextmanager
def _alone(path: Path, flavor: str, progress: Progress, cancel: threading.Event) -> Iterator[None]:
    """One driver at a time builds an image; the claim of a dead process is free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    claim = Claim(path)
    try:
        if not claim.take():
            progress(f"{flavor}: another run builds the same image; waiting")
            claim.wait(cancel)
        yield
    finally:
        claim.release()


def _find(client: APIClient, ledger: Ledger, inputs: str) -> str | None:
    """The image of these inputs that this checkout has made, if it is still there."""
    for entry in ledger.entries(IMAGE):
        if entry.id and entry.labels.get(INPUTS_LABEL) == inputs:
            with contextlib.suppress(NotFound):
                return str(client.inspect_image(entry.id)["Id"])  # type: ignore[no-untyped-call]
    return None


@dataclass(frozen=True)
class _Contents:
    """What is in an image, as the build wrote it down.

    Attributes:
        packages: as `pip freeze` lists them.
        python: its version.
        file: the list of packages on this machine, for whoever wants to read it.
    """

    packages: tuple[str, ...]
    python: str
    file: Path


def _contents(client: APIClient, ledger: Ledger, image_id: str, directory: Path) -> _Contents:
    """The contents of an image, kept for each image in a directory; read again where damaged.

    Raises:
        ERRORS: the daemon does not give them.
    """
    stem = image_id.removeprefix("sha256:")[:24]
    packages, python = directory / f"{stem}.packages.txt", directory / f"{stem}.python.txt"
    listed, version = _kept(packages, python)
    if not version:
        made = client.create_container_config(image_id, ["true"], labels={LABEL: "contents"})
        container = ledger.container(client, made)
        try:
            listed = file(client, container, _PACKAGES)
            version = _words(file(client, container, _PYTHON))
        finally:
            ledger.remove(client, container)
        atomic.write(packages, listed)
        atomic.write(python, f"{version}\n{_digest(listed)}\n")
    lines = listed.decode("utf-8", "replace").split("\n")
    return _Contents(
        packages=tuple(text.one_line(line, 200) for line in lines if line),
        python=version,
        file=packages,
    )


def _kept(packages: Path, python: Path) -> tuple[bytes, str]:
    """The list of packages, and the version of Python: "" where the files are not as written."""
    try:
        listed, (version, digest) = packages.read_bytes(), python.read_bytes().splitlines()
    except (OSError, ValueError):
        return b"", ""
    if digest.decode("ascii", "replace") != _digest(listed):
        return b"", ""
    return listed, _words(version)


def _words(content: bytes) -> str:
    return text.one_line(content.decode("utf-8", "replace"), 40)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(client: APIClient, container: str, path: str) -> bytes:
    """One file out of a container's file system, as its processes would see it.

    Raises:
        ERRORS: there is no such file, or the daemon does not give it.
    """
    chunks, _ = client.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is not None:
                return content.read(_LIMIT)
    return b""
