"""The catalog of a checkout: its flavors and scenarios, read from TOML files and validated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from harness.base.error import UsageError
from harness.base.text import plural
from harness.catalog import defects, pins
from harness.catalog.defects import Defect, Sighting
from harness.catalog.entry import Entry, read, validated
from harness.catalog.flavors import Flavor
from harness.catalog.scenarios import Scenario, script_path


@dataclass(frozen=True)
class Pair:
    """A flavor and a scenario.

    Attributes:
        inapplicable: why the scenario can never apply to the flavor, or None: then it is a case.
    """

    flavor: Flavor
    scenario: Scenario
    inapplicable: str | None

    @property
    def id(self) -> str:
        """`<flavor>.<family>.<scenario>`."""
        return f"{self.flavor.id}.{self.scenario.family}.{self.scenario.id}"


class Catalog(Entry):
    """Flavors and scenarios of a checkout, in the order of their files.

    Attributes:
        flavors: those that cases are made of.
        environments: all flavors there are: a phase may run in another one than its case's.
        defects: the known ones.
    """

    flavors: tuple[Flavor, ...]
    scenarios: tuple[Scenario, ...]
    environments: tuple[Flavor, ...]
    defects: tuple[Defect, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """Ids of the families, in order."""
        return tuple(dict.fromkeys(scenario.family for scenario in self.scenarios))

    def pairs(self) -> Iterator[Pair]:
        """Every flavor with every scenario, flavor by flavor."""
        for flavor in self.flavors:
            for scenario in self.scenarios:
                yield Pair(flavor, scenario, inapplicable(flavor, scenario))

    def covered(self, sighting: Sighting) -> list[Pair]:
        """The cases in which a known defect is to be seen by a check."""
        return [
            pair
            for pair in self.pairs()
            if pair.inapplicable is None and sighting.covers(pair.flavor.id, pair.scenario)
        ]

    def require_case(self) -> None:
        """Refuses a selection that holds no case.

        Raises:
            UsageError: no scenario of the catalog applies to a flavor of it; the text has the
                reason of the first pair.
        """
        pairs = list(self.pairs())
        if not pairs or any(pair.inapplicable is None for pair in pairs):
            return
        others = f" (nor does {plural(len(pairs) - 1, 'other pair')})" if len(pairs) > 1 else ""
        raise UsageError(
            f"{pairs[0].id} does not apply: {pairs[0].inapplicable}{others};"
            " `harness list --all` shows what does"
        )

    def representatives(self) -> Catalog:
        """The catalog with one flavor of each way to run a model: of each mode and Keras backend.

        It is the one that most scenarios apply to; of equal ones the plainest, with the fewest
        variables of its own; then the first.
        """
        cases = Counter(pair.flavor.id for pair in self.pairs() if pair.inapplicable is None)
        chosen: dict[tuple[str, str], Flavor] = {}
        for flavor in self.flavors:
            way = (flavor.mode, flavor.backend)
            chosen[way] = max(
                chosen.get(way, flavor),
                flavor,
                key=lambda entry: (cases[entry.id], -len(entry.variables)),
            )
        kept = {flavor.id for flavor in chosen.values()}
        flavors = tuple(flavor for flavor in self.flavors if flavor.id in kept)
        return self.model_copy(update={"flavors": flavors})

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
            defects=self.defects,
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
    pins.load(root / "docker")  # a broken file of pins is told before anything is built
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
    whole = Catalog(
        flavors=tuple(flavors),
        scenarios=tuple(scenarios),
        environments=tuple(flavors),
        defects=defects.load(root),
    )
    for sighting in (entry for defect in whole.defects for entry in defect.sightings):
        if not whole.covered(sighting):
            raise UsageError(
                f"{root / defects.FILE}: {sighting.defect.id}: no case of the catalog matches its"
                f" flavors, families and scenarios for {sighting.check.value} (canaries aside)"
            )
    return whole


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
    content = read(path)
    content.update(id=path.parent.name, directory=path.parent)
    flavor = validated(Flavor, content, path)
    names = [*flavor.requirements.values(), *(image.requirements for image in flavor.image)]
    for name in names:
        if not (path.parent / name).is_file():
            raise UsageError(f"{path}: {name} is not there; `make lock` writes it")
    return flavor


def _family(path: Path) -> list[Scenario]:
    content = read(path)
    entries = content.pop("scenario", None)
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path}: has no [[scenario]]")
    content.pop("description", None)
    shared = {"activations_mib": content.pop("activations_mib", 0)}
    if content:
        raise UsageError(f"{path}: unknown key {next(iter(content))!r}")
    scenarios = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise UsageError(f"{path}: scenario is not a table; write [[scenario]]")
        scenario = validated(Scenario, {**shared, **entry, "family": path.parent.name}, path)
        for script in (script_path(scenario, script) for script in scenario.scripts):
            if not (path.parent.parent.parent / script).is_file():
                raise UsageError(f"{path}: {scenario.id}: script {script} is not there")
        scenarios.append(scenario)
    for name, count in Counter(scenario.id for scenario in scenarios).items():
        if count > 1:
            raise UsageError(f"{path}: scenario {name!r} is there twice; ids are unique")
    return scenarios


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
