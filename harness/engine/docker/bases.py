"""Base images: the digests that their names stand for, recorded and asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.base import atomic, text
from harness.base.error import HarnessError, UsageError
from harness.engine.docker.daemon import ERRORS, Daemon

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_BASES = "bases.toml"
_BASES_HEADER = """\
# Base images and the digests that their names stood for when `make lock` last asked the registry.
# A base of another digest is refused; one that is not named here is taken as its name says.

[bases]
"""


def recorded(docker: Path) -> dict[str, str]:
    """The recorded digests, by base image as it is named in `flavor.toml`.

    Raises:
        UsageError: the file is not what `make lock` writes.
    """
    path = docker / _BASES
    if not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("bases", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UsageError(f"{path}: {text.one_line(str(problem))}; `make lock` writes it") from None
    if not isinstance(found, dict) or not all(
        isinstance(digest, str) and digest.startswith("sha256:") for digest in found.values()
    ):
        raise UsageError(f"{path}: [bases] holds no digests; `make lock` writes it")
    return found


def refresh(docker: Path, references: Sequence[str], daemon: Daemon) -> Iterator[str]:
    """Asks the registries for digests and records them; yields a line for each base image.

    Where no registry answers the recorded digests are kept, and a line says so.
    """
    known = recorded(docker)
    try:
        daemon.check()
    except HarnessError as problem:
        yield f"{_BASES}: kept as it is, digests are asked through Docker: {problem}"
        return
    resolved = dict(known)
    for reference in references:
        if "@" in reference:
            continue  # pinned where it is named
        try:
            answer = daemon.client().inspect_distribution(reference)  # type: ignore[no-untyped-call]
            digest = str(answer["Descriptor"]["digest"])
        except (*ERRORS, KeyError, TypeError) as problem:
            yield f"{reference}: digest kept as it is, the registry gave none: {_reason(problem)}"
            continue
        before = known.get(reference)
        resolved[reference] = digest
        yield f"{reference}: {digest}" + ("" if before in (None, digest) else f", was {before}")
    if resolved != known or not (docker / _BASES).exists():
        lines = [f'"{name}" = "{digest}"\n' for name, digest in sorted(resolved.items())]
        atomic.write(docker / _BASES, _BASES_HEADER + "".join(lines))


def _reason(problem: BaseException) -> str:
    said = getattr(problem, "explanation", None) or f"{type(problem).__name__}: {problem}"
    return text.one_line(str(said), 300)
