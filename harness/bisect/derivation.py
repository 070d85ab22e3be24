"""Derived flavors of a bisect: each in a directory of its own, locked once and kept."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from harness.base.error import UnavailableError
from harness.catalog.entry import Accelerator
from harness.catalog.flavors import DerivedFlavor, Flavor
from harness.engine.docker import image
from harness.engine.locking import lock


def lock_file(
    flavor: Flavor, engine: str, accelerator: Accelerator, capability: tuple[int, int] | None
) -> Path:
    """The lock file that an engine makes a flavor's environment from.

    Raises:
        UnavailableError: the flavor has none for the accelerator.
    """
    if engine == "docker":
        return flavor.directory / image.choose(flavor, accelerator, capability).requirements
    name = flavor.requirements.get(accelerator)
    if name is None:
        raise UnavailableError(f"{flavor.id} has no requirements for accelerator {accelerator}")
    return flavor.directory / name


def make(
    cache: Path, flavor: Flavor, own: Path, package: str, version: str, cancel: threading.Event
) -> tuple[DerivedFlavor, str]:
    """A flavor with another version of a package, and the digest of its lock file.

    Its directory is named by what the lock follows from; one that is there is used as it is, so
    that a version means the same tomorrow.

    Args:
        cache: where such directories are.
        own: the lock file of the flavor.

    Raises:
        EngineError: the requirements have no solution, or the package index does not answer.
        OSError: a file cannot be read or written.
        StoppedError: `cancel` was set.
    """
    inputs = _digest(
        [own.with_suffix(".in").read_bytes(), own.read_bytes(), flavor.python.encode()]
    )
    directory = cache / flavor.id / f"{package}-{version}-{inputs[:12]}"
    target = directory / own.name
    if not target.is_file():
        lock.derive(flavor, own.name, package, version, target, cancel)
    return DerivedFlavor.of(flavor, directory), _digest([target.read_bytes()])


def _digest(contents: Sequence[bytes]) -> str:
    found = hashlib.sha256()
    for content in contents:
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()
