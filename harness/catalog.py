"""The catalog: flavors and scenarios, read from TOML files and validated."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from harness.error import UsageError
from harness.record import CheckId

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Jenkins keys its history on ids, and a dot in one would be read as a package.
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*$")]
Index = Annotated[str, StringConstraints(pattern=r"^https://[\w.-]+(/[\w./+-]*)?$")]
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+$")]
Accelerator = Literal["gpu", "virtual"]
Mode = Literal["session", "function", "eager"]
Script = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9_-]+/)?[A-Za-z0-9_][A-Za-z0-9_-]*\.py$")
]


class Entry(BaseModel):
    """Base of every catalog model: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Image(Entry):
    """One way to build a flavor's image.

    Attributes:
        base: the base image, pinned by digest where it is known (`name:tag@sha256:...`).
        requirements: file of hash-locked requirements beside flavor.toml.
        min_compute_capability, max_compute_capability: GPUs that the base supports, inclusive.
    """

    accelerator: Accelerator
    base: str = Field(min_length=1)
    requirements: FileName
    min_compute_capability: Version | None = None
    max_compute_capability: Version | None = None

    def supports(self, accelerator: str, capability: tuple[int, int] | None) -> bool:
        """Whether the image runs on this accelerator, of this compute capability if known."""
        if self.accelerator != accelerator:
            return False
        if capability is None:
            return True
        low, high = _version(self.min_compute_capability), _version(self.max_compute_capability)
        return (low is None or capability >= low) and (high is None or capability <= high)


class Flavor(Entry):
    """A pinned software environment.

    Attributes:
        keras: what `KERAS` is set to for the phases: "tf.keras" or "keras".
        mode: how models run: "session" (graph), "function" (traced or compiled functions) or
            "eager" (one operation after the other).
        python: the interpreter that the requirements were locked for, e.g. "3.7".
        requirements: for the `venv` engine, per accelerator, the file of hash-locked requirements.
        indexes: package indexes, beside the usual one, that the requirements for an accelerator
            come from.
        preload: modules that take long to import and do nothing else: they start no thread and
            open no device. The venv engine imports them once and forks the phases.
        features: what scenarios may require of the flavor.
        lacks: features that the flavor does not have, each with the reason. `predict_swapping` is
            no scenario's: without it a phase that predicts has nothing to swap.
        variables: more environment variables for every phase.
    """

    id: Id
    directory: Path
    description: str = Field(min_length=1)
    keras: str
    mode: Mode
    python: Version
    requirements: dict[Accelerator, FileName]
    indexes: dict[Accelerator, tuple[Index, ...]] = {}
    preload: tuple[ModuleName, ...] = ()
    features: tuple[Id, ...] = ()
    lacks: dict[Id, str] = {}
    variables: dict[Variable, str] = {}
    image: tuple[Image, ...] = Field(min_length=1)


class Phase(Entry):
    """One script in one fresh place.

    Attributes:
        script: path below the family's directory, or `<family>/<script>` of another family.
        judged: whether the case's checks 2, 3, 5 and 6 look at this phase; by default the last.
        flavor: runs in this flavor's environment, whatever flavor the case is about.
        client: a script that runs beside this one, which serves it and is stopped after it.
        lms: "off" runs the phase without LMS while the plan still expects it (canaries only).
    """

    id: Id
    script: Script
    flavor: Id | None = None
    client: Script | None = None
    role: Literal["train", "predict", "convert"]
    judged: bool | None = None
    lms: Literal["on", "off"] = "on"
    timeout_s: float = Field(default=600.0, gt=0)
    variables: dict[Variable, str] = {}


class Scenario(Entry):
    """One save/load path, an ordered list of phases.

    Attributes:
        requires: features of the flavor without which the scenario does not apply.
        mode: how its models run, where that is not the flavor's own mode.
        restores: what check 4 compares between the save and the load.
        control: whether judged phases are also run with LMS off.
        expects: for a canary, the check that has to fail.
    """

    id: Id
    family: Id
    description: str = Field(min_length=1)
    requires: tuple[Id, ...] = ()
    mode: Mode | None = None
    restores: tuple[Literal["weights", "optimizer", "predictions", "epochs"], ...] = ()
    control: bool = True
    expects: CheckId | None = None
    phase: tuple[Phase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_phases(self) -> Scenario:
        names = [phase.id for phase in self.phase]
        if len(set(names)) != len(names):
            raise ValueError(f"phase ids are not unique: {', '.join(names)}")
        return self

    def judged(self, phase: Phase) -> bool:
        """Whether the checks look at this phase; by default the last one of the scenario."""
        return phase.judged if phase.judged is not None else phase is self.phase[-1]


class Catalog(Entry):
    """Flavors and scenarios of a checkout, in the order of their files.

    Attributes:
        flavors: those that cases are made of.
        environments: all flavors there are: a phase may run in another one than its case's.
    """

    flavors: tuple[Flavor, ...]
    scenarios: tuple[Scenario, ...]
    environments: tuple[Flavor, ...]

    @property
    def families(self) -> tuple[str, ...]:
        """Ids of the families, in order."""
        return tuple(dict.fromkeys(scenario.family for scenario in self.scenarios))

    def select(
        self,
        flavors: Sequence[str] = (),
        families: Sequence[str] = (),
        scenarios: Sequence[str] = (),
    ) -> Catalog:
        """The part of the catalog that matches the shell patterns; no pattern matches all.

        Raises:
            UsageError: a pattern matches nothing.
        """
        chosen_families = _match("family", families, self.families)
        within = [entry for entry in self.scenarios if entry.family in chosen_families]
        chosen_scenarios = _match("scenario", scenarios, [entry.id for entry in within])
        chosen_flavors = _match("flavor", flavors, [entry.id for entry in self.flavors])
        return Catalog(
            flavors=tuple(entry for entry in self.flavors if entry.id in chosen_flavors),
            scenarios=tuple(entry for entry in within if entry.id in chosen_scenarios),
            environments=self.environments,
        )


def load(root: Path) -> Catalog:
    """Reads the catalog of a checkout.

    Args:
        root: the directory that holds `docker` and `scenarios`.

    Raises:
        UsageError: a file is missing, is not TOML, or does not say what it must.
    """
    flavor_files = sorted((root / "docker" / "flavors").glob("*/flavor.toml"))
    family_files = sorted((root / "scenarios" / "families").glob("*/scenarios.toml"))
    if not flavor_files or not family_files:
        raise UsageError(
            f"{root}: no docker/flavors/*/flavor.toml or scenarios/families/*/scenarios.toml here;"
            " run from a checkout of the project or pass --root"
        )
    flavors = [_flavor(path) for path in flavor_files]
    scenarios = [entry for path in family_files for entry in _family(path)]
    owners: dict[str, str] = {}
    for scenario in scenarios:
        other = owners.setdefault(scenario.id, scenario.family)
        if other != scenario.family:
            raise UsageError(
                f"scenario {scenario.id!r} is in {other} and in {scenario.family};"
                " one scenario is reproduced by its id alone, so ids are unique"
            )
    names = {flavor.id for flavor in flavors}
    known = {feature for flavor in flavors for feature in (*flavor.features, *flavor.lacks)}
    for scenario in scenarios:
        for feature in scenario.requires:
            if feature not in known:
                raise UsageError(
                    f"scenario {scenario.family}/{scenario.id} requires {feature!r}, which no"
                    " flavor has or lacks; name it under features or [lacks] of a flavor.toml"
                )
        for phase in scenario.phase:
            if phase.flavor is not None and phase.flavor not in names:
                raise UsageError(
                    f"scenario {scenario.family}/{scenario.id}: phase {phase.id} is to run in"
                    f" {phase.flavor!r}, which is no flavor"
                )
    return Catalog(flavors=tuple(flavors), scenarios=tuple(scenarios), environments=tuple(flavors))


def inapplicable(flavor: Flavor, scenario: Scenario) -> str | None:
    """The reason why a scenario does not apply to a flavor, or None when it does."""
    for feature in scenario.requires:
        if feature not in flavor.features:
            return flavor.lacks.get(feature, f"the flavor has no {feature}")
    for phase in scenario.phase:
        if phase.flavor == flavor.id:
            return (
                f"its {phase.id} phase is of {flavor.id} too: nothing is handed to another flavor"
            )
    return None


def _flavor(path: Path) -> Flavor:
    content = _read(path)
    content.update(id=path.parent.name, directory=path.parent)
    flavor = _validated(Flavor, content, path)
    names = [*flavor.requirements.values(), *(image.requirements for image in flavor.image)]
    for name in names:
        if not (path.parent / name).is_file():
            raise UsageError(f"{path}: {name} is not there; `make lock` writes it")
    return flavor


def _family(path: Path) -> list[Scenario]:
    content = _read(path)
    entries = content.pop("scenario", None)
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path}: has no [[scenario]]")
    content.pop("description", None)
    if content:
        raise UsageError(f"{path}: unknown key {next(iter(content))!r}")
    scenarios = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise UsageError(f"{path}: scenario is not a table; write [[scenario]]")
        scenario = _validated(Scenario, {**entry, "family": path.parent.name}, path)
        scripts = [script for phase in scenario.phase for script in (phase.script, phase.client)]
        for script in (script_path(scenario, script) for script in scripts if script):
            if not (path.parent.parent.parent / script).is_file():
                raise UsageError(f"{path}: {scenario.id}: script {script} is not there")
        scenarios.append(scenario)
    ids = [scenario.id for scenario in scenarios]
    for name in ids:
        if ids.count(name) > 1:
            raise UsageError(f"{path}: scenario {name!r} is there twice; ids are unique")
    return scenarios


def script_path(scenario: Scenario, script: str) -> str:
    """Path of a scenario's script below `scenarios`."""
    return f"families/{script}" if "/" in script else f"families/{scenario.family}/{script}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path}: not TOML: {problem}") from problem
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}") from problem
    return content


_EntryT = TypeVar("_EntryT", bound=Entry)


def _validated(model: type[_EntryT], content: dict[str, Any], path: Path) -> _EntryT:
    try:
        return model.model_validate(content)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "(top level)"
        name = content.get("id")
        entry = f" {name}:" if isinstance(name, str) else ""
        raise UsageError(f"{path}:{entry} {where}: {first['msg']}") from problem


def _match(kind: str, patterns: Sequence[str], names: Iterable[str]) -> set[str]:
    names = list(names)
    if not patterns:
        return set(names)
    chosen: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if fnmatchcase(name, pattern)}
        if not hits:
            raise UsageError(f"no {kind} matches {pattern!r}; there are: {', '.join(names)}")
        chosen |= hits
    return chosen


def _version(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)\.(\d+)", text)
    assert match  # the field's pattern guarantees it
    return int(match[1]), int(match[2])
