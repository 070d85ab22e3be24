"""Overlays: of a derived flavor only what is not as in its base, in front of that environment.

A framework's environment takes a minute to make and an overlay of a package of Python seconds, and
nothing else is another one.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from harness.base.error import EngineError
from harness.catalog.flavors import DerivedFlavor, Flavor
from harness.engine.requirements import Locked, locked
from harness.engine.venv import environment, interpreter
from harness.engine.venv.environment import Made, Place

_SITE = "lib/python*/site-packages"


class _UnfitError(EngineError):
    """The packages cannot stand in front of the others."""


def make(
    root: Path,
    flavor: Flavor,
    accelerator: str,
    progress: Callable[[str], None],
    cancel: threading.Event,
) -> Made:
    """Makes a flavor's environment as `environment.make`; of a derived one an overlay if it can.

    Raises:
        UnavailableError, EngineError, StoppedError: as there.
    """
    made = None
    if isinstance(flavor, DerivedFlavor):
        made = _overlaid(root, flavor, accelerator, progress, cancel)
    return made or environment.make(root, flavor, accelerator, progress, cancel)


def _overlaid(
    root: Path,
    flavor: DerivedFlavor,
    accelerator: str,
    progress: Callable[[str], None],
    cancel: threading.Event,
) -> Made | None:
    """The base's environment with something in front of it; None where it takes a whole one."""
    name, content = environment.requirements_of(flavor, accelerator)
    own = locked(content.decode("utf-8", "replace"))
    _, content_of_base = environment.requirements_of(flavor.base, accelerator)
    base = locked(content_of_base.decode("utf-8", "replace"))
    if base.keys() - own.keys():
        return None  # what is not there any more would still be seen
    changed = [
        entry
        for package, entries in own.items()
        if _versions(entries) != _versions(base.get(package, ()))
        for entry in entries
    ]
    below = environment.make(root, flavor.base, accelerator, progress, cancel)
    try:
        made = _in_front(root, flavor, accelerator, changed, below, progress, cancel)
    except _UnfitError as reason:
        below.give_up()
        progress(f"{flavor.id}: no overlay: {reason}")
        return None
    except BaseException:
        below.give_up()
        raise
    lock = hashlib.sha256(content).hexdigest()
    made.provenance["requirements"] = f"{name} sha256:{lock}"
    return made


def _in_front(
    root: Path,
    flavor: DerivedFlavor,
    accelerator: str,
    changed: Sequence[Locked],
    below: Made,
    progress: Callable[[str], None],
    cancel: threading.Event,
) -> Made:
    if not changed:
        return below
    behind = below.python.parent.parent
    python = interpreter.find(flavor.python, cancel=cancel)
    text = "".join(entry.text for entry in changed)
    inputs = hashlib.sha256(f"{text}in front of {behind.name}".encode()).hexdigest()
    place = Place(root, flavor, accelerator, inputs, python)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        facts = place.prepared(
            Path(file.name), progress, cancel, lambda directory: _join(directory, behind)
        )
    packages = {_name_of(entry): entry for entry in below.provenance["packages"].split()}
    packages.update({_name_of(entry): entry for entry in facts.packages})
    provenance = {
        **below.provenance,
        "packages": " ".join(packages[name] for name in sorted(packages)),
        "overlay": f"{' '.join(facts.packages)} in front of {behind.name}",
    }
    claims = (place.using, *below.claims)
    return Made(place.executable, provenance, claims, (*below.notes, *place.notes))


def _versions(entries: Sequence[Locked]) -> set[tuple[str, str]]:
    return {(entry.version, entry.marker) for entry in entries}


def _name_of(frozen: str) -> str:
    return str(canonicalize_name(frozen.partition("==")[0]))


def _join(directory: Path, behind: Path) -> None:
    """Puts the packages of an environment in front of another one's, whose scripts it gets.

    In front stands what is of Python alone: extension modules were built for what is beside them.

    Raises:
        _UnfitError: they cannot stand there.
        OSError: the environment cannot be read or written.
    """
    (own,), (other,) = (list(place.glob(_SITE)) for place in (directory, behind))
    hidden = {_name_of(found.metadata["Name"]): found for found in _installed(other)}
    for found in _installed(own):
        name = _name_of(found.metadata["Name"])
        if "Root-Is-Purelib: true" not in (found.read_text("WHEEL") or ""):
            raise _UnfitError(f"{name} is not of Python alone")
        seen = _tops(hidden[name]) - _tops(found) if name in hidden else set()
        if seen:
            raise _UnfitError(f"{min(seen)} of the other {name} would still be seen")
    # A line with a path alone would leave out the .pth files that are there.
    line = f"import site; site.addsitedir({str(other)!r})\n"
    (own / "behind.pth").write_text(line, encoding="utf-8")
    for script in sorted((behind / "bin").iterdir()):
        target = directory / "bin" / script.name
        if not script.is_file() or script.is_symlink() or target.exists():
            continue
        content = script.read_bytes()
        if content.startswith(b"#!"):  # of the interpreter of its environment
            target.write_bytes(content.replace(bytes(behind), bytes(directory)))
            shutil.copymode(script, target)


def _installed(site: Path) -> list[metadata.Distribution]:
    return list(metadata.distributions(path=[str(site)]))


def _tops(found: metadata.Distribution) -> set[str]:
    """What a package has at the top of site-packages, but for its own notes."""
    tops = {file.parts[0] for file in found.files or () if file.parts}
    return {top for top in tops if not top.endswith(".dist-info")} - {"..", "__pycache__"}
