"""Pins of the base images: the digests that their names stand for, in two files of `docker/`.

`bases.toml` is the project's and under version control: `make lock` writes it. `bases.lock.toml` is
this checkout's: what a base that the project has no digest of was when it was first used here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base import atomic, plain_file, text
from harness.base.error import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT, CHECKOUT = "bases.toml", "bases.lock.toml"

_HEADERS = {
    PROJECT: """\
# Base images and the digests that their names stand for; `make lock` asks the registries and writes
# this file. A base of another digest is refused; one that is not named here is pinned at its first
# use on a machine, in bases.lock.toml.

[bases]
""",
    CHECKOUT: """\
# Base images that bases.toml does not name, with the digests that they had when they were first
# used here. A base of another digest is refused; `make lock` accepts a change.

[bases]
""",
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ENTRY = re.compile(r'"(?P<name>[^"\\]+)" = "(?P<digest>[^"\\]+)".*')


@dataclass(frozen=True)
class Pin:
    """A digest, and the file that records it, as a user sees it from the checkout."""

    digest: str
    file: str


def load(docker: Path) -> dict[str, Pin]:
    """The pins of a checkout's folder `docker`, by base image as `flavor.toml` names it.

    The project's digest comes before the checkout's own.

    Raises:
        UsageError: a file does not hold what `make lock` writes.
    """
    return {
        reference: Pin(digest, f"docker/{name}")
        for name in (CHECKOUT, PROJECT)
        for reference, digest in read(docker / name).items()
    }


def read(path: Path) -> dict[str, str]:
    """The digests of one file, by base image; none where there is no file.

    Raises:
        UsageError: it does not hold what `make lock` writes.
    """
    advice = "remove it, and `make lock` writes it again"
    try:
        found = tomllib.loads(plain_file.read_text(path)).get("bases", {})
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UsageError(f"{path}: {text.one_line(str(problem))}; {advice}") from None
    if not isinstance(found, dict) or not all(
        isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in found.values()
    ):
        raise UsageError(f"{path}: [bases] holds something else than digests; {advice}")
    return found


def write(path: Path, digests: Mapping[str, str]) -> None:
    """Replaces a file of digests; the line of an unchanged one stays, with its comment.

    Raises:
        OSError: the file could not be written.
    """
    lines: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            entry = _ENTRY.fullmatch(line)
            if entry and digests.get(entry["name"]) == entry["digest"]:
                lines[entry["name"]] = line
    entries = [
        lines.get(name, f'"{name}" = "{digest}"') + "\n" for name, digest in sorted(digests.items())
    ]
    atomic.write(path, _HEADERS[path.name] + "".join(entries))


def remember(docker: Path, reference: str, digest: str) -> Pin:
    """Records the digest of a base at its first use; returns the pin that holds from then on.

    Where another driver was faster, that is its digest.

    Raises:
        OSError: the checkout cannot be written to.
        UsageError: the file does not hold what is written here.
    """
    path = docker / CHECKOUT
    with _locked(docker):
        digests = read(path)
        if reference not in digests:
            # What TOML would need to escape is in no reference of an image.
            if not re.fullmatch(r"[\w.:/@-]+", reference, re.ASCII):
                raise UsageError(f"{text.one_line(reference)} is not the name of an image")
            digests[reference] = digest
            write(path, digests)
    return Pin(digests[reference], f"docker/{CHECKOUT}")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keeps other drivers from reading and writing at the same time."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: the last one wins
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
