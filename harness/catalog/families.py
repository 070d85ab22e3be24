"""Families: the scenarios of one file, written out or made of variants."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import plain_file
from harness.base.error import UsageError
from harness.catalog.entry import Entry, Id, validated
from harness.catalog.entry import read as toml
from harness.catalog.flavors import KERAS
from harness.catalog.scenarios import OfFamily, Scenario, script_path, scripts
from harness.catalog.variants import Exclusion, Value, Variants

# Keys of the table [variants]; any other is an axis.
_KEYS = {"axes", "pairs", "description", "straight", "phase", "exclude"}


class _Head(Entry):
    """What the head of a file says of all of its scenarios."""

    requires: tuple[Id, ...] = (KERAS,)


@dataclass(frozen=True)
class Family:
    """What a `scenarios.toml` holds.

    Attributes:
        id: the name of its directory.
        scenarios: those that are written out.
        variants: what makes the others, or None.
    """

    id: str
    scenarios: tuple[Scenario, ...]
    variants: Variants | None


def read(path: Path) -> Family:
    """Reads the file of a family.

    Raises:
        UsageError: it is not TOML, or does not say what it must; one line has the file, the entry
            and the field.
    """
    family, content = path.parent.name, toml(path)
    entries = content.pop("scenario", [])
    table = content.pop("variants", None)
    if not isinstance(entries, list) or not (entries or table is not None):
        raise UsageError(f"{path}: has no [[scenario]]")
    content.pop("description", None)
    shared: dict[str, Any] = {"activations_mib": content.pop("activations_mib", 0)}
    told = {key: content.pop(key) for key in _Head.model_fields if key in content}
    if content:
        raise UsageError(f"{path}: unknown key {next(iter(content))!r}")
    requires = validated(_Head, told, path).requires
    scenarios = [_scenario(entry, shared, path) for entry in entries]
    scenarios = [
        scenario.model_copy(update={"requires": (*requires, *scenario.requires)})
        for scenario in scenarios
    ]
    for name, count in Counter(scenario.id for scenario in scenarios).items():
        if count > 1:
            raise UsageError(f"{path}: scenario {name!r} is there twice; ids are unique")
    shared["requires"] = requires
    variants = None if table is None else _variants(table, shared, path)
    return Family(family, tuple(scenarios), variants)


def _scenario(entry: object, shared: Mapping[str, Any], path: Path) -> Scenario:
    if not isinstance(entry, dict):
        raise UsageError(f"{path}: scenario is not a table; write [[scenario]]")
    scenario = validated(Scenario, {**shared, **entry, "family": path.parent.name}, path)
    if scenario.values:
        raise UsageError(f"{path}: {scenario.id}: values: a scenario that is written out has none")
    _check_scripts(scenario, f"{path}: {scenario.id}", path)
    return scenario


def _variants(table: object, shared: Mapping[str, Any], path: Path) -> Variants:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: variants is not a table; write [variants]")
    axes = table.get("axes")
    names = [axis for axis in axes if isinstance(axis, str)] if isinstance(axes, list) else []
    for name in names:
        if name in _KEYS or name == "reason":  # which is one of an exclusion
            raise UsageError(f"{path}: variants: axes: {name!r} is a key of its own, and no axis")
    for key in table:
        if key not in _KEYS and key not in names:
            raise UsageError(f"{path}: variants: {key}: unknown key, and not among the axes")
    content = {key: value for key, value in table.items() if key in _KEYS}
    content["values"] = {
        axis: tuple(
            validated(Value, entry, path, f"variants.{axis} {number}")
            for number, entry in enumerate(_tables(table.get(axis), f"variants.{axis}", path), 1)
        )
        for axis in names
    }
    excluded = _tables(table.get("exclude", []), "variants.exclude", path)
    content["exclude"] = tuple(
        validated(Exclusion, _exclusion(entry), path, f"variants.exclude {number}")
        for number, entry in enumerate(excluded, 1)
    )
    found = validated(Variants, {**shared, **content, "family": path.parent.name}, path, "variants")
    _check_scripts(found, f"{path}: variants", path)
    return found


def _check_scripts(owner: OfFamily, place: str, path: Path) -> None:
    folder = path.parent.parent.parent
    for script in dict.fromkeys(script_path(owner, script) for script in scripts(owner)):
        problem = _unusable(folder / script, folder)
        if problem is not None:
            raise UsageError(f"{place}: script {script} {problem}")


def _unusable(script: Path, folder: Path) -> str | None:
    """Why a phase could not run a script: it sees the folder of scenarios and nothing beside."""
    try:
        kind = plain_file.kind_of(script.stat().st_mode)
    except FileNotFoundError:
        return "is not there"
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    if kind is not None:
        return f"is a {kind}, and no file"
    if not script.resolve().is_relative_to(folder.resolve()):
        return f"is a link that leads out of {folder.name}/, where no container sees it"
    return None if os.access(script, os.R_OK) else "cannot be read"


def _tables(entries: object, name: str, path: Path) -> list[dict[str, Any]]:
    if entries is None:
        raise UsageError(f"{path}: {name}: the axis has no value; write [[{name}]]")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{path}: {name} is not a list of tables; write [[{name}]]")
    return entries


def _exclusion(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as `Exclusion` has it: all keys but `reason` are axes, with one value or a list."""
    values = {
        axis: [value] if isinstance(value, str) else value
        for axis, value in entry.items()
        if axis != "reason"
    }
    return {"values": values, **({"reason": entry["reason"]} if "reason" in entry else {})}
