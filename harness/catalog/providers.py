"""Providers: what swaps, and where it can. What each says of itself is read from its file's text.

A provider is a class, wherever it is (docs/providers.md). Its attributes are literals, so that
nobody's code runs in the driver to learn them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, StrictBool

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import one_line
from harness.catalog.entry import Accelerator, Entry, Id, Mode, PhaseVariable, Value, validated
from harness.record.models import BUILTIN as _BUILTIN

FOLDER = Path("scenarios", "providers")
OFF = "off"  # the control
Effect = Literal["moves", "recomputes", "pages"]
Backend = Literal["tensorflow", "torch", "jax"]
Role = Literal["train", "predict"]
_BYTES = 1 << 20  # of a file: a provider is small


class Way(Entry):
    """One class of a provider: what it works in, and what it does to memory.

    The defaults are those of `providers.interface.Provider`.
    """

    name: Id
    modes: tuple[Mode, ...] = Field(min_length=1)
    backends: tuple[Backend, ...] = Field(min_length=1)
    accelerators: tuple[Accelerator, ...] = Field(default=("virtual", "gpu"), min_length=1)
    packages: tuple[Id, ...] = ()
    requires: tuple[Id, ...] = ()
    roles: tuple[Role, ...] = ("train", "predict")
    effect: Effect = "moves"
    rounds: StrictBool = False
    variables: dict[PhaseVariable, Value] = {}


class Provider(Entry):
    """What swaps.

    Attributes:
        id: its name.
        ways: one for each class of that name; the provider on one backend or another.
        file: where it is, if it is none of the checkout's own; with `class_name` in it.
    """

    id: Id
    ways: tuple[Way, ...] = Field(min_length=1)
    file: Path | None = None
    class_name: str = ""

    @property
    def variable(self) -> str:
        """What `LMS_PROVIDER` is for a phase that sees the file where it is."""
        return self.id if self.file is None else f"{self.file}:{self.class_name}"

    def way(self, mode: str, backend: str, accelerator: str = "") -> Way | None:
        """The class for a mode and a backend, or None; of several, one for the accelerator."""
        fitting = [way for way in self.ways if mode in way.modes and backend in way.backends]
        there = [way for way in fitting if accelerator in way.accelerators]
        return next(iter(there or fitting), None)

    def unable(self, mode: str, backend: str, installed: Iterable[str]) -> str | None:
        """Why the provider can never work in a place, or None where it can.

        Args:
            installed: names of the distributions that are there.
        """
        way = self.way(mode, backend)
        if way is None:
            known = sorted({pair for entry in self.ways for pair in _places(entry)})
            return (
                f"provider {self.id} works in {' or '.join(known)}, not in {backend}'s {mode} mode"
            )
        missing = sorted(set(way.packages) - set(installed))
        if missing:
            return f"provider {self.id} needs {', '.join(missing)}, which is not in the environment"
        return None


BUILTIN = Provider(
    id=_BUILTIN,
    ways=(Way(name=_BUILTIN, modes=get_args(Mode), backends=get_args(Backend)),),
)
"""Our own: wherever there is a flavor."""


def shipped(root: Path) -> tuple[Provider, ...]:
    """The providers of a checkout beside our own, by name; none where it has no folder of them.

    Raises:
        UsageError: a file does not say what it must.
    """
    ways: dict[str, list[Way]] = {}
    for path in sorted((root / FOLDER).glob("**/*.py")):
        if path.relative_to(root / FOLDER).parts[0] == OFF:
            continue
        for way in _declared(path).values():
            ways.setdefault(way.name, []).append(way)
    ways.pop(_BUILTIN, None)
    return tuple(Provider(id=name, ways=tuple(found)) for name, found in sorted(ways.items()))


def chosen(shipped: Iterable[Provider], texts: Iterable[str]) -> tuple[Provider, ...]:
    """The providers that are asked for, each once: a name, or `path/to/file.py:Class`.

    Args:
        shipped: those of the checkout, as a catalog has them.

    Raises:
        UsageError: there is no such provider, or its file does not say what it must.
    """
    known = {entry.id: entry for entry in (BUILTIN, *shipped)}
    found: dict[str, Provider] = {}
    for text in texts:
        provider = _anywhere(text, known) if ":" in text else known.get(text)
        if provider is None:
            raise UsageError(
                f"no provider {one_line(text, 80)!r}; there are: {', '.join(known)};"
                " another one is given as path/to/file.py:Class (docs/providers.md)"
            )
        if found.setdefault(provider.id, provider) != provider:
            raise UsageError(f"two providers are named {provider.id!r}: {provider.variable} is one")
    return tuple(found.values())


def _anywhere(text: str, known: Mapping[str, Provider]) -> Provider:
    """The provider that a file outside of the checkout's folder holds."""
    name, _, class_name = text.rpartition(":")
    path = Path(name).absolute()
    if not path.is_file():
        raise UsageError(f"provider {one_line(text, 200)}: {one_line(name, 200)} is no file")
    if path.suffix != ".py" or "," in name or ":" in name:
        raise UsageError(f"provider {one_line(text, 200)}: the file has to be named NAME.py")
    declared = _declared(path)
    if class_name not in declared:
        there = f"; there are: {', '.join(declared)}" if declared else ""
        raise UsageError(one_line(f"{path}: no provider class {class_name!r}{there}"))
    way = declared[class_name]
    if way.name in (*known, OFF):
        raise UsageError(
            one_line(f"{path}: {class_name}: its name {way.name!r} is that of another provider")
        )
    return Provider(id=way.name, ways=(way,), file=path, class_name=class_name)


def _declared(path: Path) -> dict[str, Way]:
    """The provider classes of a file, by the names of the classes."""
    try:
        text = plain_file.read_text(path)
        if len(text) > _BYTES:
            raise ValueError("too large for a provider")
        tree = ast.parse(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as problem:
        raise UsageError(one_line(f"{path}: no Python: {problem}")) from None
    except OSError as problem:
        raise UsageError(one_line(f"{path}: {problem.strerror}")) from None
    # In the order of the file, as Python runs it: a base is a class that is above.
    read: dict[str, dict[str, Any]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            read[node.name] = _attributes(node, read)
    return {
        name: validated(Way, attributes, path, name)
        for name, attributes in read.items()
        if "name" in attributes and {"modes", "backends"} & attributes.keys()
    }


def _attributes(node: ast.ClassDef, above: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The literal attributes of a class that `Way` knows, with those of its bases in the file.

    Args:
        above: those of the classes that stand before it, by name.
    """
    found: dict[str, Any] = {}
    for base in reversed(node.bases):  # of two bases the first counts
        if isinstance(base, ast.Name):
            found.update(above.get(base.id, {}))
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id in Way.model_fields:
                found[target.id] = _literal(value)
    return found


def _literal(expression: ast.expr) -> Any:
    try:
        return ast.literal_eval(expression)
    except (ValueError, TypeError):  # TypeError: a list as a key
        return None  # what is no literal is refused by its type


def _places(way: Way) -> Iterator[str]:
    for backend in way.backends:
        for mode in way.modes:
            yield f"{backend}'s {mode} mode"
