"""The catalog of a checkout: its flavors and scenarios, read from TOML files and validated."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from packaging.utils import canonicalize_name

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import plural
from harness.catalog import defects, families, pins, providers
from harness.catalog.defects import Defect, Sighting
from harness.catalog.entry import Entry, read, validated
from harness.catalog.families import Family
from harness.catalog.flavors import Flavor
from harness.catalog.providers import Provider
from harness.catalog.scenarios import Scenario
from harness.catalog.variants import Depth, Variants
from harness.record.models import case_id

_Candidate = tuple[Flavor, Scenario, Provider]
_LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)==", re.MULTILINE)  # as `uv pip compile` writes them


@dataclass(frozen=True)
class Pair:
    """A flavor and a scenario, and what swaps.

    Attributes:
        inapplicable: why the scenario can never apply to the flavor, or None: then it is a case.
    """

    flavor: Flavor
    scenario: Scenario
    inapplicable: str | None
    provider: Provider = providers.BUILTIN

    @property
    def id(self) -> str:
        """`<flavor>.<family>.<scenario>[.<provider>]`."""
        return case_id(self.flavor.id, self.scenario.family, self.scenario.id, self.provider.id)


class Catalog(Entry):
    """Flavors and scenarios of a checkout, in the order of their files.

    Attributes:
        flavors: those that cases are made of.
        scenarios: those that are written out, and the variants that some flavor runs.
        environments: all flavors there are: a phase may run in another one than its case's.
        defects: the known ones.
        variants: of the families that have some.
        chosen: ids of the variants that a flavor runs, by the flavor's id.
        named: ids of the variants that a selection names: of those there are all pairs.
        providers: what swaps; each makes cases of its own.
        shipped: the providers of the checkout beside `builtin`.
    """

    flavors: tuple[Flavor, ...]
    scenarios: tuple[Scenario, ...]
    environments: tuple[Flavor, ...]
    defects: tuple[Defect, ...] = ()
    variants: tuple[Variants, ...] = ()
    chosen: dict[str, frozenset[str]] = {}
    named: frozenset[str] = frozenset()
    providers: tuple[Provider, ...] = (providers.BUILTIN,)
    shipped: tuple[Provider, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """Ids of the families, in order."""
        named = [scenario.family for scenario in self.scenarios]
        return tuple(dict.fromkeys([*named, *(entry.family for entry in self.variants)]))

    def pairs(self) -> Iterator[Pair]:
        """Every flavor with every scenario, flavor by flavor; but variants only where they run.

        A canary tests the harness, most of them with faults that only our own provider can be
        given: those are of that one alone, on each flavor where some provider works.
        """
        return itertools.starmap(self._pair, self._candidates())

    def _candidates(self, canaries: bool = True) -> Iterator[_Candidate]:
        for flavor in self.flavors:
            works = canaries and None in map(partial(self._works, flavor), self.providers)
            of_canaries = (providers.BUILTIN,) if works else ()
            chosen = self.named | self.chosen.get(flavor.id, frozenset())
            for scenario in self.scenarios:
                if scenario.values and scenario.id not in chosen:
                    continue
                own = scenario.expects is not None and not scenario.every_provider
                for provider in of_canaries if own else self.providers:
                    yield flavor, scenario, provider

    def _pair(self, flavor: Flavor, scenario: Scenario, provider: Provider) -> Pair:
        reason = inapplicable(flavor, scenario, provider)
        if reason is None:
            elsewhere = {phase.flavor for phase in scenario.phase if phase.flavor is not None}
            others = [other for other in self.environments if other.id in elsewhere]
            reason = next(filter(None, (_unable(at, at.mode, provider) for at in others)), None)
        return Pair(flavor, scenario, reason, provider)

    def works(self, provider: Provider) -> dict[str, str | None]:
        """By flavor, why a provider can never work in it, or None where it can."""
        return {flavor.id: self._works(flavor, provider) for flavor in self.flavors}

    def _works(self, flavor: Flavor, provider: Provider) -> str | None:
        """Why a provider can never work in any mode that a flavor's scenarios have, or None."""
        able = [entry for entry in self.scenarios if flavor.lacking(entry.requires) is None]
        reasons = [
            _misplaced(flavor, provider) or _unable(flavor, mode, provider)
            for mode in dict.fromkeys((flavor.mode, *(entry.mode or flavor.mode for entry in able)))
        ]
        return None if None in reasons else reasons[0]

    def swapping_by(self, chosen: Iterable[Provider]) -> Catalog:
        """The catalog with these providers in place of `builtin`."""
        return self.model_copy(update={"providers": tuple(chosen)})

    def covered(self, sighting: Sighting) -> list[Pair]:
        """The cases in which a known defect is to be seen by a check.

        Where they match none but those of other providers, or variants that do not run by default,
        it is those.
        """
        every = self.swapping_by((*self.providers, *self.shipped))
        of_variants = (
            (flavor, scenario, provider)
            for entry in self.variants
            for scenario in entry.every()
            for flavor in self.flavors
            for provider in every.providers
        )
        return (
            self._covered(sighting, self._candidates(canaries=False))
            or self._covered(sighting, every._candidates(canaries=False))
            or self._covered(sighting, of_variants)
        )

    def _covered(self, sighting: Sighting, candidates: Iterable[_Candidate]) -> list[Pair]:
        # Patterns are looked at first: whether a scenario applies takes longer to say.
        matching = (
            self._pair(flavor, scenario, provider)
            for flavor, scenario, provider in candidates
            if sighting.covers(flavor.id, scenario, provider.id)
        )
        return [pair for pair in matching if pair.inapplicable is None]

    def require_case(self) -> None:
        """Refuses a selection that holds no case.

        Raises:
            UsageError: no scenario of the catalog applies to a flavor of it; the text has the
                reason of the first pair.
        """
        pairs = list(self.pairs())
        if any(pair.inapplicable is None for pair in pairs):
            return
        if not pairs:
            flavor, entry = self.flavors[0], self.variants[0]
            reason = entry.lacking(flavor) or "none of those that are selected applies"
            raise UsageError(f"{flavor.id}.{entry.family}: no variant to run: {reason}")
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
        chosen_flavors = _match("flavor", flavors, [entry.id for entry in self.flavors])
        variants = tuple(entry for entry in self.variants if entry.family in chosen_families)
        named = {
            found.id: found
            for pattern in scenarios
            for entry in variants
            if (found := entry.find(pattern)) is not None
        }
        within = {entry.id: entry for entry in self.scenarios if entry.family in chosen_families}
        within.update(named)
        shown = [entry.id for entry in within.values() if not entry.values]
        shown += [f"variants {entry.pattern} of {entry.family}" for entry in variants]
        chosen_scenarios = _match("scenario", scenarios, within, shown)
        return self.model_copy(
            update={
                "flavors": tuple(entry for entry in self.flavors if entry.id in chosen_flavors),
                "scenarios": tuple(within[name] for name in within if name in chosen_scenarios),
                "variants": variants,
                "named": self.named | named.keys(),
            }
        )


def load(root: Path, depth: Depth = "pairs") -> Catalog:
    """Reads the catalog of a checkout.

    Args:
        root: the directory that holds `docker` and `scenarios`.
        depth: which variants run.

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
    found = [families.read(path) for path in family_files]
    _check_ids(found)
    _check_names(found, flavors)
    scenarios: list[Scenario] = []
    chosen: dict[str, frozenset[str]] = {}
    for family in found:
        scenarios += family.scenarios
        if family.variants is not None:
            made = family.variants.scenarios(depth, flavors)
            scenarios += made.scenarios
            for name, ids in made.run.items():
                chosen[name] = chosen.get(name, frozenset()) | ids
    whole = Catalog(
        flavors=tuple(flavors),
        scenarios=tuple(scenarios),
        environments=tuple(flavors),
        defects=defects.load(root),
        variants=tuple(family.variants for family in found if family.variants is not None),
        chosen=chosen,
        shipped=providers.shipped(root),
    )
    for sighting in (entry for defect in whole.defects for entry in defect.sightings):
        if not whole.covered(sighting):
            raise UsageError(
                f"{root / defects.FILE}: {sighting.defect.id}: no case of the catalog matches its"
                f" flavors, families and scenarios for {sighting.check.value} (canaries aside)"
            )
    return whole


def inapplicable(
    flavor: Flavor, scenario: Scenario, provider: Provider = providers.BUILTIN
) -> str | None:
    """The reason why a scenario does not apply to a flavor and a provider, or None if it does."""
    reason = _misplaced(flavor, provider) or flavor.lacking(scenario.requires)
    if reason is not None:
        return reason
    for phase in scenario.phase:
        if phase.flavor == flavor.id:
            return (
                f"its {phase.id} phase is of {flavor.id} too: nothing is handed to another flavor"
            )
    return _unable(flavor, scenario.mode or flavor.mode, provider)


def _unable(flavor: Flavor, mode: str, provider: Provider) -> str | None:
    way = provider.way(mode, flavor.backend)
    reason = None if way is None else flavor.lacking(way.requires)
    return reason or provider.unable(mode, flavor.backend, flavor.packages)


def _misplaced(flavor: Flavor, provider: Provider) -> str | None:
    if not flavor.providers or provider.id in flavor.providers:
        return None
    return f"the flavor is there for {' and '.join(flavor.providers)}, not for {provider.id}"


def _check_ids(families: Sequence[Family]) -> None:
    """Raises UsageError where two scenarios have one id."""
    owners: dict[str, str] = {}
    variants = [family.variants for family in families if family.variants is not None]
    for family in families:
        for scenario in family.scenarios:
            owner = owners.setdefault(scenario.id, family.id)
            if owner != family.id:
                raise _same(scenario.id, owner, family.id)
            for entry in variants:
                if entry.names(scenario.id):
                    raise _same(scenario.id, family.id, f"the variants of {entry.family}")
    for one, other in itertools.combinations(variants, 2):
        common = one.in_common(other)
        if common is not None:
            raise _same(common, one.family, other.family)


def _same(scenario: str, one: str, other: str) -> UsageError:
    return UsageError(
        f"scenario {scenario!r} is in {one} and in {other};"
        " one scenario is reproduced by its id alone, so ids are unique"
    )


def _check_names(families: Sequence[Family], flavors: Sequence[Flavor]) -> None:
    """Raises UsageError where a feature or a flavor is named that there is not."""
    names = {flavor.id for flavor in flavors}
    known = {feature for flavor in flavors for feature in (*flavor.has, *flavor.lacks)}
    required = [
        (f"scenario {family.id}/{scenario.id}", feature)
        for family in families
        for scenario in family.scenarios
        for feature in scenario.requires
    ]
    required += [
        (f"{axis} {value.id} of the variants of {family.id}", feature)
        for family in families
        if family.variants is not None
        for axis, values in family.variants.values.items()
        for value in values
        for feature in value.requires
    ]
    for owner, feature in required:
        if feature not in known:
            raise UsageError(
                f"{owner} requires {feature!r}, which no"
                " flavor has or lacks; name it under features or [lacks] of a flavor.toml"
            )
    for family in families:
        for scenario in family.scenarios:
            for phase in scenario.phase:
                if phase.flavor is not None and phase.flavor not in names:
                    raise UsageError(
                        f"scenario {family.id}/{scenario.id}: phase {phase.id} is to run in"
                        f" {phase.flavor!r}, which is no flavor"
                    )


def _flavor(path: Path) -> Flavor:
    content = read(path)
    content.update(id=path.parent.name, directory=path.parent)
    flavor = validated(Flavor, content, path)
    names = [*flavor.requirements.values(), *(image.requirements for image in flavor.image)]
    for name in names:
        if not (path.parent / name).is_file():
            raise UsageError(f"{path}: {name} is not there; `make lock` writes it")
    locked = plain_file.read_text(path.parent / names[0])
    packages = frozenset(canonicalize_name(name) for name in _LOCKED.findall(locked))
    return flavor.model_copy(update={"packages": packages})


def _match(
    kind: str,
    patterns: Sequence[str],
    names: Iterable[str],
    shown: Sequence[str] | None = None,
) -> set[str]:
    """The names that match.

    Args:
        shown: what is told where nothing matches, if not the names.
    """
    names = list(names)
    if not patterns:
        return set(names)
    chosen: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if fnmatchcase(name, pattern)}
        if not hits:
            there = ", ".join(names if shown is None else shown)
            raise UsageError(f"no {kind} matches {pattern!r}; there are: {there}")
        chosen |= hits
    return chosen
