"""What is in an image: its packages and its Python, as the build wrote them down."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient

from harness.base import atomic, text
from harness.engine.docker.daemon import owner_labels

_PACKAGES, _PYTHON = "/opt/venv/freeze.txt", "/opt/venv/python.txt"  # the Dockerfile leaves them
_LIMIT = 2**20  # bytes of such a file that are read


@dataclass(frozen=True)
class Contents:
    """Contents of an image.

    Attributes:
        packages: as `pip freeze` lists them.
        python: its version.
        file: the list of packages on this machine, for whoever wants to read it.
    """

    packages: tuple[str, ...]
    python: str
    file: Path


def read(client: APIClient, image_id: str, directory: Path) -> Contents:
    """The contents of an image, kept for each image in a directory.

    Raises:
        ERRORS: the daemon does not give them.
    """
    stem = image_id.removeprefix("sha256:")[:24]
    packages, python = directory / f"{stem}.packages.txt", directory / f"{stem}.python.txt"
    if not (packages.exists() and python.exists()):
        labels = owner_labels("contents")
        container = client.create_container(image_id, ["true"], labels=labels)["Id"]
        try:
            atomic.write(packages, file(client, container, _PACKAGES))
            atomic.write(python, file(client, container, _PYTHON))
        finally:
            client.remove_container(container, force=True, v=True)
    lines = packages.read_text(encoding="utf-8", errors="replace").split("\n")
    return Contents(
        packages=tuple(text.one_line(line, 200) for line in lines if line),
        python=text.one_line(python.read_text(encoding="utf-8", errors="replace"), 40),
        file=packages,
    )


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
