"""Images of the flavors: built once for each set of inputs, named by ID ever after."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient

from harness.base import text
from harness.base.claim import Claim
from harness.base.error import EngineError, UnavailableError, UsageError
from harness.catalog.flavors import Flavor, Image
from harness.engine.docker import base_image, build, contents
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.leftovers import Removal

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
    try:
        logs = directory(docker.parent)
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


@contextlib.contextmanager
def claimed(
    root: Path, flavor: str, progress: Progress, cancel: threading.Event
) -> Iterator[Claim]:
    """Claims a flavor's images: one driver at a time builds; gives the claim on their use.

    That one is shared, and stays when this ends, unless something is raised.

    Args:
        root: the checkout.

    Raises:
        EngineError: there is no place for the claims.
        StoppedError: `cancel` was set.
    """
    try:
        place = directory(root)
        making, using = Claim(place / f"{flavor}.lock"), Claim(place / f"{flavor}.use")
        try:
            if not making.take():
                progress(f"{flavor}: another run builds the same image; waiting")
                making.wait(cancel)
            using.take(shared=True)
            yield using
        except BaseException:
            using.release()
            raise
        finally:
            making.release()
    except OSError as problem:
        raise EngineError(f"{flavor}: {problem}") from problem


def remove_all(client: APIClient, place: Path) -> Removal:
    """Removes every image of ours that no run of this checkout uses, and what builds have left.

    Args:
        place: the checkout's `directory`.

    Raises:
        ERRORS: the daemon does not answer.
    """
    found = Removal()
    for entry in client.images(filters={"label": INPUTS_LABEL}):
        what = f"image {' '.join(entry.get('RepoTags') or [entry['Id']])}"
        flavor = (entry.get("Labels") or {}).get(f"{LABEL}.flavor", "")
        if not _unused(place, flavor):
            found.used.append(f"{what}: a run builds or uses it")
            continue
        try:
            client.remove_image(entry["Id"], force=True)
            found.removed.append(what)
        except ERRORS as problem:
            reason = getattr(problem, "explanation", None) or problem
            found.failed.append(f"{what}: {text.one_line(str(reason), 200)}")
    build.clear(client, build.BUILD_LABEL)
    return found


def _unused(place: Path, flavor: str) -> bool:
    """Whether no run of this checkout builds or uses a flavor's images."""
    with contextlib.ExitStack() as held:
        for kind in ("lock", "use"):
            claim = Claim(place / f"{flavor}.{kind}")
            held.callback(claim.release)
            with contextlib.suppress(OSError):
                if claim.take():
                    continue
            return False
    return True


def _find(client: APIClient, inputs: str) -> str | None:
    found = client.images(filters={"label": f"{INPUTS_LABEL}={inputs}"})
    newest = max(found, key=lambda entry: int(entry["Created"]), default=None)
    return None if newest is None else str(newest["Id"])


def directory(root: Path) -> Path:
    """Where build logs and what is known of images are kept: the checkout's cache.

    Where that is not writable: a place for temporary files, the same one each time.

    Raises:
        OSError: there is none.
    """
    cached = root / ".cache" / "images"
    try:
        cached.mkdir(parents=True, exist_ok=True)
        probe = os.access(cached, os.W_OK)
    except OSError:
        probe = False
    if probe:
        return cached
    checkout = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:12]
    made = Path(tempfile.gettempdir(), f"{LABEL}-images-{os.getuid()}-{checkout}")
    with contextlib.suppress(FileExistsError):
        made.mkdir(mode=0o700)
    found = made.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "another user has made it", str(made))
    return made
