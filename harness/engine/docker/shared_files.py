"""Whether the daemon sees this machine's files: phases get theirs as bind mounts.

A daemon on another machine, or behind a socket that is mounted into the container that the harness
runs in, mounts paths of its own machine, or refuses those that it does not have: after the images
have been built, which takes long.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from pathlib import Path

from docker.errors import APIError
from docker.types import Mount

from harness.base import claim
from harness.base.claim import ClaimedDirectory
from harness.base.error import UsageError
from harness.engine import owner
from harness.engine.docker import image
from harness.engine.docker.build import context
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.docker.ledger import IMAGE, Ledger

_TARGET, _NAME, _PREFIX = "/shared", "token", ".shared-"
_LABELS = {LABEL: "shared-files"}
# Nothing to pull, nothing that could run.
_NOTHING = context({}).getvalue()


def check(daemon: Daemon, ledger: Ledger, directories: Sequence[Path]) -> None:
    """Asks the daemon for a file that was just written into each directory.

    A container is created of an empty image and never started; both are removed. A directory that
    this process cannot write to is left out.

    Raises:
        UsageError: the daemon sees other files, or makes no container.
    """
    # The tag is part of the name: Podman takes no notice of one beside it.
    empty = f"{LABEL}/shared-files:{secrets.token_hex(8)}"
    try:
        client = daemon.client()
        record = ledger.write(IMAGE, empty, owner.labels("shared-files"))
        client.import_image_from_data(
            _NOTHING, empty, changes=[f"LABEL {name}={value}" for name, value in _LABELS.items()]
        )
        try:
            for directory in directories:
                _check(daemon, ledger, directory, empty)
        finally:
            client.remove_image(empty, force=True)
            record.unlink(missing_ok=True)
    except ERRORS as problem:
        raise UsageError(
            f"the Docker daemon at {daemon.address} makes no container: {daemon.explain(problem)};"
            " use ENGINE=venv"
        ) from problem


def _check(daemon: Daemon, ledger: Ledger, directory: Path, empty: str) -> None:
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
        said = _seen(daemon, ledger, written.path.resolve(), empty, token)
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


def _seen(daemon: Daemon, ledger: Ledger, source: Path, empty: str, token: bytes) -> str | None:
    """What the daemon has in the place of the file; None where it is that very file."""
    client = daemon.client()
    try:
        made = client.create_container_config(
            empty,
            ["none"],
            labels=_LABELS,
            host_config=client.create_host_config(
                mounts=[Mount(_TARGET, str(source), type="bind", read_only=True)],
                network_mode="none",
            ),
        )
        container = ledger.container(client, made)
    except APIError as problem:
        return daemon.explain(problem)
    try:
        found = image.file(client, container, f"{_TARGET}/{_NAME}")
    except APIError as problem:
        return daemon.explain(problem)
    finally:
        ledger.remove(client, container)
    return None if found == token else "another file is there"
