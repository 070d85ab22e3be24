"""What is in an image: its packages and its Python, as the build wrote them down."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient

from harness.base import atomic, text
from harness.engine import owner
from harness.engine.owner import NAME_LABEL

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
    """The contents of an image, kept for each image in a directory; read again where damaged.

    Raises:
        ERRORS: the daemon does not give them, or the directory cannot be written.
    """
    stem = image_id.removeprefix("sha256:")[:24]
    packages, python = directory / f"{stem}.packages.txt", directory / f"{stem}.python.txt"
    listed, version = _kept(packages, python)
    if not version:
        labels = owner.labels("contents")
        container = client.create_container(
            image_id, ["true"], labels=labels, name=labels[NAME_LABEL]
        )["Id"]
        try:
            listed = file(client, container, _PACKAGES)
            version = _words(file(client, container, _PYTHON))
        finally:
            client.remove_container(container, force=True, v=True)
        atomic.write(packages, listed)
        atomic.write(python, f"{version}\n{_digest(listed)}\n")
    lines = listed.decode("utf-8", "replace").split("\n")
    return Contents(
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
    return (
        (listed, _words(version))
        if digest.decode("ascii", "replace") == _digest(listed)
        else (b"", "")
    )


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
