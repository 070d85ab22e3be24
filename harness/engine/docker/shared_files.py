"""Whether the daemon sees this machine's files: phases get theirs as bind mounts.

A daemon on another machine, or behind a socket that is mounted into the container that the harness
runs in, mounts paths of its own machine, or refuses those that it does not have: after the images
have been built, which takes long.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from docker import APIClient
from docker.errors import APIError
from docker.types import Mount

from harness.base import claim
from harness.base.claim import ClaimedDirectory
from harness.base.error import EngineError, UsageError
from harness.engine import owner
from harness.engine.docker import build, contents
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.owner import NAME_LABEL

_TARGET, _NAME, _PREFIX = "/shared", "token", ".shared-"
_KIND = "shared-files"


def check(daemon: Daemon, directories: Sequence[Path]) -> None:
    """Asks the daemon for a file that was just written into each directory.

    A container is created of an empty image and never started; both are removed. A directory that
    this process cannot write to is left out.

    Raises:
        UsageError: the daemon sees other files, or makes no container.
    """
    try:
        image = build.empty(daemon.client(), _dockerfile())
        try:
            for directory in directories:
                _check(daemon, directory, image)
        finally:
            daemon.client().remove_image(image, force=True)
    except (*ERRORS, EngineError) as problem:
        raise UsageError(
            f"the Docker daemon at {daemon.address} makes no container: {daemon.explain(problem)};"
            " use ENGINE=venv"
        ) from problem


def reap(client: APIClient, local: bool) -> list[str]:
    """Removes images of dead drivers' checks; a line for each.

    Raises:
        ERRORS: the daemon does not answer.
    """
    removed = []
    for entry in client.images(filters={"label": f"{LABEL}={_KIND}"}, all=True):
        # Nothing of a user's is made of an image that has neither a name nor a file.
        names = set(entry.get("RepoTags") or []) - {"<none>:<none>"}
        empty = not entry.get("Size") and not names
        if empty and owner.abandoned(entry.get("Labels") or {}, local):
            with contextlib.suppress(*ERRORS):
                client.remove_image(entry["Id"])
                removed.append(f"image {entry['Id'][7:19]} of a driver that is gone")
    return removed


def _dockerfile() -> bytes:
    """Of an image of this driver alone: no layer, nothing to pull, nothing that could run."""
    labels = " ".join(f"{name}={json.dumps(value)}" for name, value in owner.labels(_KIND).items())
    return f"FROM scratch\nLABEL {labels}\n".encode()


def _check(daemon: Daemon, directory: Path, image: str) -> None:
    token = secrets.token_hex(16).encode()
    made = not directory.exists()
    for _ in claim.abandoned(directory, _PREFIX):
        pass  # it is removed
    try:
        written = ClaimedDirectory(directory, _PREFIX)
    except OSError:
        return  # what needs it says so
    try:
        (written.path / _NAME).write_bytes(token)
        said = _seen(daemon, written.path.resolve(), image, token)
    finally:
        written.remove()
        if made:  # a run that is refused leaves no empty directory of reports
            with contextlib.suppress(OSError):
                directory.rmdir()
    if said is not None:
        raise UsageError(
            f"the Docker daemon at {daemon.address} does not see the files of {directory} ({said}):"
            " it runs on another machine, or its socket is mounted into a container that this"
            " process runs in. Run the harness where the daemon runs, mount the directory there"
            " under the same path, or use ENGINE=venv"
        )


def _seen(daemon: Daemon, source: Path, image: str, token: bytes) -> str | None:
    """What the daemon has in the place of the file; None where it is that very file."""
    client, labels = daemon.client(), owner.labels(_KIND)
    try:
        container = client.create_container(
            image,
            ["none"],
            name=labels[NAME_LABEL],
            labels=labels,
            host_config=client.create_host_config(
                mounts=[Mount(_TARGET, str(source), type="bind", read_only=True)],
                network_mode="none",
            ),
        )["Id"]
    except APIError as problem:
        return daemon.explain(problem)
    try:
        found = contents.file(client, container, f"{_TARGET}/{_NAME}")
    except APIError as problem:
        return daemon.explain(problem)
    finally:
        client.remove_container(container, force=True, v=True)
    return None if found == token else "another file is there"
