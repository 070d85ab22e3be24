"""Real data sets: downloaded once, checked against their published digests."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests

from harness.base.error import HarnessError, StoppedError, UsageError
from harness.base.stop import waited_for
from harness.base.trees import digest

_CHUNK = 2**20
_TIMEOUT_S = 30


@dataclass(frozen=True)
class DataSet:
    """A file, where it comes from, and its SHA-256 as the Keras loaders give it.

    Sources: keras/src/datasets/mnist.py and cifar10.py.
    """

    name: str
    file: str
    url: str
    sha256: str


DATA_SETS = (
    DataSet(
        "MNIST",
        "mnist.npz",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    DataSet(
        "CIFAR-10",
        "cifar-10-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
)


def download(directory: Path, cancel: threading.Event | None = None) -> Iterator[str]:
    """Downloads what is missing; yields one line for each data set.

    Raises:
        StoppedError: `cancel` was set; what was not whole is not kept.
        HarnessError: no network, or a file whose digest is wrong (it is not kept).
    """
    cancel = cancel or threading.Event()
    directory.mkdir(parents=True, exist_ok=True)
    for data_set in DATA_SETS:
        path = directory / data_set.file
        if path.is_file() and _digest(path) == data_set.sha256:
            yield f"{data_set.name}: there, digest correct ({path.name})"
            continue
        _fetch(data_set, path, cancel)
        yield f"{data_set.name}: downloaded, digest correct ({path.name})"


def present(directory: Path) -> dict[str, bool]:
    """Which data sets lie in a directory (digests are not read)."""
    return {entry.name: (directory / entry.file).is_file() for entry in DATA_SETS}


def require_intact(directory: Path) -> None:
    """Refuses data sets that are not what was published: phases could not use them, or differ.

    Raises:
        UsageError: a file has another digest, or cannot be read.
    """
    for data_set in DATA_SETS:
        path = directory / data_set.file
        try:
            if not path.exists() or _digest(path) == data_set.sha256:
                continue
            problem = "is damaged, or another file than was published (by its SHA-256)"
        except OSError as refused:
            problem = f"cannot be read: {refused.strerror}"
        raise UsageError(
            f"{path}: {data_set.name} {problem}; `make data` downloads it, and without it the"
            " shipped digits are used"
        )


def _fetch(data_set: DataSet, path: Path, cancel: threading.Event) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    receive = partial(_receive, data_set.url, temporary, cancel)
    try:
        sha256 = waited_for(receive, cancel, f"downloading {data_set.url}")
        if sha256 != data_set.sha256:
            raise HarnessError(
                f"{data_set.name}: {data_set.url} has sha256 {sha256}, expected"
                f" {data_set.sha256}; nothing was kept"
            )
        temporary.replace(path)
    except requests.RequestException as problem:
        raise HarnessError(
            f"{data_set.name}: {data_set.url} cannot be reached ({type(problem).__name__});"
            f" put the file at {path} yourself, or go on without it: the shipped digits are used"
        ) from problem
    finally:
        temporary.unlink(missing_ok=True)


def _receive(url: str, path: Path, cancel: threading.Event) -> str:
    """Writes what an address serves to a file; returns its SHA-256."""
    received = hashlib.sha256()
    with requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer:
        answer.raise_for_status()
        with path.open("wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                if cancel.is_set():
                    raise StoppedError(f"the run was stopped while it was downloading {url}")
                received.update(chunk)
                file.write(chunk)
    return received.hexdigest()


def _digest(path: Path) -> str:
    return digest.of_file(path, large=math.inf)
