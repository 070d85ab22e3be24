"""Images of the flavors: built once for each set of inputs, named by ID ever after.

The classic builder is used through the low-level API: `images.build()` of the Docker library shows
nothing until the end and finds the image's ID by a pattern in the output.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import ImageNotFound

from harness.base import atomic, text
from harness.base.error import EngineError, UnavailableError
from harness.catalog.flavors import Flavor, Image
from harness.engine.docker import bases, build_settings
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon, owner_labels

# Digest of everything that goes into an image; the image with the same one is reused.
INPUTS_LABEL = f"{LABEL}.inputs"
# On every layer of the Dockerfile's stage that is thrown away; the value is put in for each build.
_BUILD_LABEL, _BY_HAND = f"{LABEL}.build", b"by-hand"
_PROGRESS_S = 1.0
_FACTS = ("freeze.txt", "python.txt")  # what the Dockerfile leaves in /opt/venv

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """An image that is there.

    Attributes:
        provenance: flat facts: ID, base image with ID and digest, requirements, packages, ...
    """

    id: str
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class Base:
    """A base image on this machine.

    Attributes:
        digest: `sha256:...` that a registry knows it by, "" for one made on this machine.
    """

    reference: str
    id: str
    digest: str


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
    """The base image to build on, and the variable that may name another one."""
    variable = "BASE_IMAGE_" + flavor.id.upper().replace("-", "_")
    return environ.get(variable) or environ.get("BASE_IMAGE") or image.base, variable


def build(
    daemon: Daemon,
    flavor: Flavor,
    accelerator: str,
    capability: tuple[int, int] | None,
    progress: Progress,
) -> Built:
    """Returns the flavor's image, building it when there is none with the same inputs.

    Raises:
        UnavailableError: the flavor does not support the accelerator.
        EngineError: the base image cannot be had, or the build broke; one line with the log's path.
    """
    image = choose(flavor, accelerator, capability)
    reference, variable = base_reference(flavor, image)
    docker = flavor.directory.parent.parent
    logs = _log_directory(docker.parent)
    try:
        client = daemon.client()
        base = _base(client, reference, variable, bases.recorded(docker), progress)
        files = {
            "Dockerfile": (docker / "Dockerfile").read_bytes(),
            "requirements-build.txt": (docker / "requirements-build.txt").read_bytes(),
            "requirements.txt": (flavor.directory / image.requirements).read_bytes(),
        }
        inputs = _digest(files, base.id, flavor.python)
        image_id = _find(client, inputs)
        if image_id is None:
            log = logs / f"{flavor.id}-{accelerator}.log"
            indexes = flavor.indexes.get(image.accelerator, ())
            image_id = _build(client, flavor, files, base, indexes, inputs, log, progress)
        packages, python, freeze = _contents(client, image_id, logs)
    except ERRORS as problem:
        raise EngineError(f"{flavor.id}: image: {daemon.explain(problem)}") from problem
    locked = hashlib.sha256(files["requirements.txt"]).hexdigest()
    return Built(
        image_id,
        {
            "image": image_id,
            "image inputs": inputs,
            "base image": base.reference,
            "base image id": base.id,
            "base image digest": base.digest or "none (made on this machine)",
            "python": python,
            "requirements": f"{image.requirements} sha256:{locked}",
            "packages": " ".join(packages),
            "packages sha256": hashlib.sha256("\n".join(packages).encode()).hexdigest(),
            "packages file": str(freeze),
        },
    )


def remove_all(client: APIClient) -> list[str]:
    """Removes every image of ours, with what a killed build left; a line for each image."""
    ours = client.images(filters={"label": INPUTS_LABEL})
    removed = []
    for entry in ours:
        with contextlib.suppress(*ERRORS):
            client.remove_image(entry["Id"], force=True)
            removed.append(f"image {' '.join(entry.get('RepoTags') or [entry['Id']])}")
    _remove_stage(client, _BUILD_LABEL)
    return removed


# --- base images --------------------------------------------------------------------------------


def _base(
    client: APIClient,
    reference: str,
    variable: str,
    recorded: Mapping[str, str],
    progress: Progress,
) -> Base:
    """The base image, pulled when it is not there, and of the recorded digest if there is one."""
    expected = recorded.get(reference, "")
    try:
        facts = _inspect(client, reference)
    except ImageNotFound:
        pinned = f"{_repository(reference)}@{expected}" if expected else reference
        try:
            _pull(client, pinned, progress)
            facts = _inspect(client, pinned)
        except (*ERRORS, EngineError) as problem:
            said = text.one_line(str(getattr(problem, "explanation", None) or problem), 300)
            raise EngineError(
                f"base image {pinned} is not here and cannot be pulled ({said});"
                f" set {variable} to one that is"
            ) from problem
    digests = [entry.rpartition("@")[2] for entry in facts.get("RepoDigests") or []]
    if expected and expected not in digests:
        raise EngineError(
            f"base image {reference} is {digests[0] if digests else facts['Id']} here, but"
            f" docker/bases.toml records {expected}; pull that one, or run `make lock` to accept"
            " a change"
        )
    return Base(reference, facts["Id"], expected or (digests[0] if digests else ""))


def _inspect(client: APIClient, reference: str) -> dict[str, Any]:
    facts: dict[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    return facts


def _repository(reference: str) -> str:
    """The reference without its tag; a colon before the last slash is a registry's port."""
    head, slash, name = reference.rpartition("/")
    return head + slash + name.partition(":")[0]


def _pull(client: APIClient, reference: str, progress: Progress) -> None:
    progress(f"pulling {reference}")
    repository, _, tag = (
        reference.partition("@") if "@" in reference else (_repository(reference), "", "")
    )
    tag = tag or reference[len(repository) :].removeprefix(":") or "latest"
    layers: dict[str, bool] = {}
    said = time.monotonic()
    for event in client.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in event:
            raise EngineError(text.one_line(str(event["error"]), 300))
        if event.get("id"):
            done = event.get("status") in ("Pull complete", "Already exists")
            layers[str(event["id"])] = done
        if time.monotonic() - said > _PROGRESS_S and layers:
            said = time.monotonic()
            progress(f"pulling {reference}: {sum(layers.values())} of {len(layers)} layers")


# --- builds -------------------------------------------------------------------------------------


def _digest(files: Mapping[str, bytes], base: str, python: str) -> str:
    facts = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    facts.update(base=base, python=python)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _find(client: APIClient, inputs: str) -> str | None:
    found = client.images(filters={"label": f"{INPUTS_LABEL}={inputs}"})
    newest = max(found, key=lambda entry: int(entry["Created"]), default=None)
    return None if newest is None else str(newest["Id"])


def _build(
    client: APIClient,
    flavor: Flavor,
    files: Mapping[str, bytes],
    base: Base,
    indexes: Sequence[str],
    inputs: str,
    log: Path,
    progress: Progress,
) -> str:
    settings = build_settings.of_host()
    for note in settings.notes:
        progress(f"{flavor.id}: {note}")
    build_id = secrets.token_hex(16)
    context = _context(
        {
            **files,
            "Dockerfile": files["Dockerfile"].replace(_BY_HAND, build_id.encode()),
            "pip.conf": build_settings.with_indexes(settings.pip_conf, indexes).encode(),
            "ca-certificates.crt": settings.ca_bundle,
        }
    )
    network = os.environ.get("HARNESS_BUILD_NETWORK") or ("host" if settings.host_network else None)
    progress(f"{flavor.id}: building the image on {base.reference}, log: {log}")
    try:
        events = client.build(
            fileobj=context,
            custom_context=True,
            tag=f"{LABEL}/{flavor.id}:{inputs[:12]}",
            decode=True,
            rm=True,
            forcerm=True,
            network_mode=network,
            use_config_proxy=True,
            buildargs={
                **settings.build_arguments,
                "BASE_IMAGE": base.id,
                "PYTHON": flavor.python,
            },
            labels={
                LABEL: "image",
                INPUTS_LABEL: inputs,
                f"{LABEL}.flavor": flavor.id,
                f"{LABEL}.base": base.reference,
                f"{LABEL}.base-id": base.id,
                f"{LABEL}.base-digest": base.digest,
            },
        )
        return _follow(events, flavor.id, log, progress)
    finally:
        # The stage holds the host's CA bundle and pip's settings, and as much disk as the image.
        _remove_stage(client, f"{_BUILD_LABEL}={build_id}")


def _context(files: Mapping[str, bytes]) -> io.BytesIO:
    """A build context in memory, the same bytes for the same files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    archive.seek(0)
    return archive


def _follow(events: Iterable[Mapping[str, Any]], name: str, log: Path, progress: Progress) -> str:
    """Writes the build's output to the log as it comes; returns the image's ID.

    Raises:
        EngineError: the build broke.
    """
    image_id, complaint, last, broken = "", "", "", ""
    said = time.monotonic()
    with log.open("w", encoding="utf-8", errors="replace", buffering=1) as file:
        for event in events:
            output = str(event.get("stream") or event.get("status") or event.get("error") or "")
            file.write(text.clean(output))
            if "error" in event:
                file.write("\n")
                broken = output
            if isinstance(event.get("aux"), Mapping) and event["aux"].get("ID"):
                image_id = str(event["aux"]["ID"])  # one for each stage; the last is the image
            for line in filter(None, map(str.strip, text.clean(output).splitlines())):
                if "error" in event:
                    continue
                last = line
                # What pip says last is rarely what is wrong: that is the line it begins with this.
                complaint = line if line.startswith("ERROR:") else complaint
                if time.monotonic() - said > _PROGRESS_S:
                    said = time.monotonic()
                    progress(f"{name}: {text.one_line(line, 200)}")
    if broken:
        # The daemon's own message repeats the whole RUN instruction.
        code = text.one_line(broken.rpartition("returned a ")[2], 200)
        reason = text.one_line(complaint or last or broken, 300)
        raise EngineError(f"{name}: the image build broke: {reason} ({code}); log: {log}")
    if not image_id:
        raise EngineError(f"{name}: the image build ended without an image; log: {log}")
    return image_id


def _remove_stage(client: APIClient, label: str) -> None:
    """Removes the layers of the discarded stage, youngest first, and nothing below them."""
    with contextlib.suppress(*ERRORS):
        left = client.images(filters={"label": label}, all=True)
        for _ in range(len(left)):
            still = []
            for entry in left:
                try:
                    client.remove_image(entry["Id"], noprune=True)
                except ERRORS:
                    still.append(entry)  # has children yet
            if not still or len(still) == len(left):
                break
            left = still


# --- contents -----------------------------------------------------------------------------------


def _contents(client: APIClient, image_id: str, logs: Path) -> tuple[list[str], str, Path]:
    """Packages, Python version, and the file with the packages, kept per image beside the logs."""
    stem = image_id.removeprefix("sha256:")[:24]
    freeze, python = logs / f"{stem}.packages.txt", logs / f"{stem}.python.txt"
    if not (freeze.exists() and python.exists()):
        container = client.create_container(image_id, ["true"], labels=owner_labels("contents"))[
            "Id"
        ]
        try:
            for name, path in zip(_FACTS, (freeze, python), strict=True):
                atomic.write(path, _file(client, container, f"/opt/venv/{name}"))
        finally:
            client.remove_container(container, force=True, v=True)
    packages = freeze.read_text(encoding="utf-8", errors="replace").split("\n")
    return (
        [text.one_line(line, 200) for line in packages if line],
        text.one_line(python.read_text(encoding="utf-8", errors="replace"), 40),
        freeze,
    )


def _file(client: APIClient, container: str, path: str) -> bytes:
    """One file out of a container's file system."""
    chunks, _ = client.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is not None:
                return content.read(2**20)
    return b""


def _log_directory(root: Path) -> Path:
    """Where logs are kept: the checkout's cache, or a temporary place where it is not writable."""
    directory = root / ".cache" / "images"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = os.access(directory, os.W_OK)
    except OSError:
        probe = False
    return directory if probe else Path(tempfile.mkdtemp(prefix=f"{LABEL}-images-"))
