"""Variants: scenarios that a family makes of one value for each of its axes."""

from __future__ import annotations

import math
import string
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from operator import contains
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from harness.base.error import UsageError
from harness.catalog import covering
from harness.catalog.covering import Row
from harness.catalog.entry import Entry, Id, Script, Words
from harness.catalog.flavors import Flavor
from harness.catalog.scenarios import Activations, Phase, Restores, Scenario, Straight

Depth = Literal["pairs", "full"]
"""Which variants a flavor runs: enough to hold the pairs that are wanted, or every one."""

Axis = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
# An id of a scenario is ids of values with `-` between them.
ValueId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,63}$")]
Reason = Annotated[Words, StringConstraints(max_length=300)]
_ID_CHARACTERS = 64
_COMBINATIONS = 100_000  # they are counted, and all of them run with DEPTH=full


class Value(Entry):
    """One value of an axis.

    Attributes:
        requires: features of the flavor without which no scenario has the value.
        restores: what check 4 compares of a scenario with this value.
        resumes: whether a training can go on from what is saved as if it had not been interrupted.
    """

    id: ValueId
    description: Words
    requires: tuple[Id, ...] = ()
    restores: tuple[Restores, ...] | None = None
    resumes: bool = True


class Exclusion(Entry):
    """Combinations that can never be: those that have one of the values for each axis."""

    values: dict[Axis, tuple[ValueId, ...]] = Field(min_length=1)
    reason: Reason


class VariantsStraight(Entry):
    """The uninterrupted training of a variant.

    Attributes:
        axes: whose values it is told; variants that are equal in them share one.
    """

    script: Script
    axes: tuple[Axis, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Made:
    """Scenarios made of variants, in the order of the values.

    Attributes:
        run: ids of those that a flavor runs, by the flavor's id.
    """

    scenarios: tuple[Scenario, ...]
    run: Mapping[str, frozenset[str]]


class Variants(Entry):
    """The variants of a family.

    Attributes:
        axes: in the order in which ids of scenarios name their values.
        values: of each axis.
        pairs: lists of axes; every pair of values of the axes of one list is in some variant that
            runs by default, if it can be.
        description: of a variant; `{axis}` is the description of its value.
        activations_mib, requires: as of a scenario; no variant applies without them.
    """

    family: Id
    axes: tuple[Axis, ...] = Field(min_length=1)
    values: dict[Axis, tuple[Value, ...]]
    pairs: tuple[tuple[Axis, ...], ...] = ()
    description: Words
    straight: VariantsStraight | None = None
    phase: tuple[Phase, ...] = Field(min_length=1)
    exclude: tuple[Exclusion, ...] = ()
    activations_mib: Activations = 0.0
    requires: tuple[Id, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Variants:
        _check_axes(self)
        _check_values(self)
        _check_exclusions(self)
        for phase in self.phase:
            for field in ("flavor", "reference", "fault"):
                if getattr(phase, field) is not None:
                    raise ValueError(f"phase {phase.id} has a {field}, which none of a variant has")
            for axis in self.axes:
                if variable(axis) in phase.variables:
                    raise ValueError(f"phase {phase.id} sets {variable(axis)}, which its axis does")
        # What any scenario has to be, and any that goes on with what was saved.
        resuming = {
            axis: tuple(value.id for value in self.values[axis] if value.resumes)
            for axis in self.axes
        }
        for values in (self.ids, resuming):
            for row in islice(self.allowed(values), 1):
                self.scenario(row)
        return self

    @property
    def ids(self) -> dict[str, tuple[str, ...]]:
        """The ids of the values of each axis."""
        return {axis: tuple(value.id for value in self.values[axis]) for axis in self.axes}

    @property
    def pattern(self) -> str:
        """What the ids look like, e.g. `model-optimizer-format`."""
        return "-".join(self.axes)

    def of(self, flavor: Flavor) -> dict[str, tuple[str, ...]]:
        """The ids of the values of each axis that a flavor has what is required for."""
        return {
            axis: tuple(
                value.id
                for value in self.values[axis]
                if flavor.has.issuperset((*self.requires, *value.requires))
            )
            for axis in self.axes
        }

    def scenarios(self, depth: Depth, flavors: Iterable[Flavor]) -> Made:
        """The variants that flavors run."""
        made: dict[str, Row] = {}
        run: dict[str, frozenset[str]] = {}
        for flavor in flavors:
            rows = {"-".join(row.values()): row for row in self.rows(flavor, depth)}
            made.update(rows)
            run[flavor.id] = frozenset(rows)
        place = {axis: {name: at for at, name in enumerate(ids)} for axis, ids in self.ids.items()}
        ordered = sorted(
            made.values(), key=lambda row: [place[axis][name] for axis, name in row.items()]
        )
        return Made(tuple(map(self.scenario, ordered)), run)

    def rows(self, flavor: Flavor, depth: Depth) -> list[Row]:
        """The combinations that a flavor runs."""
        axes = self.of(flavor)
        if not all(axes.values()):
            return []
        if depth == "full":
            return list(self.allowed(axes))
        # Values that the flavor cannot run have no part in what is excluded.
        excluded = (
            tuple(
                (axis, tuple(name for name in names if name in axes[axis]))
                for axis, names in entry.items()
            )
            for entry in self._exclusions
        )
        rows = _covering(
            tuple(axes.items()),
            self.pairs,
            tuple(entry for entry in excluded if all(names for _, names in entry)),
            () if self.straight is None else self.straight.axes,
        )
        return [dict(row) for row in rows]

    def count(self, flavor: Flavor) -> int:
        """How many combinations a flavor can run."""
        return sum(1 for _ in self.allowed(self.of(flavor)))

    def every(self) -> Iterator[Scenario]:
        """All variants, of whatever flavor."""
        return map(self.scenario, self.allowed(self.ids))

    def names(self, name: str) -> bool:
        """Whether an id names a value of each axis, excluded together or not."""
        parts, ids = name.split("-"), self.ids.values()
        return len(parts) == len(ids) and all(map(contains, ids, parts))

    def in_common(self, other: Variants) -> str | None:
        """An id that both may have; None where there is none."""
        if len(self.axes) != len(other.axes):
            return None
        both = [
            sorted(set(ours) & set(theirs))
            for ours, theirs in zip(self.ids.values(), other.ids.values(), strict=True)
        ]
        return "-".join(names[0] for names in both) if all(both) else None

    def find(self, name: str) -> Scenario | None:
        """The variant with this id, or None.

        Raises:
            UsageError: its combination is excluded; the text has the reason.
        """
        if not self.names(name):
            return None
        row = dict(zip(self.axes, name.split("-"), strict=True))
        number = covering.excluding(self._exclusions)(row)
        if number is not None:
            raise UsageError(f"{self.family}: {name} can never be: {self.exclude[number].reason}")
        return self.scenario(row)

    def lacking(self, flavor: Flavor) -> str | None:
        """Why a flavor can run no variant at all, or None where it can."""
        for axis, ids in self.of(flavor).items():
            if not ids:
                return f"no {axis} applies: {self._lacks(flavor, self.values[axis][0])}"
        if next(self.allowed(self.of(flavor)), None) is None:
            return "all that would apply is excluded"
        return None

    def unmet(self, flavor: Flavor) -> Iterator[tuple[str, str, str]]:
        """Axis and id of each value that a flavor cannot run, and why."""
        for axis, ids in self.of(flavor).items():
            for value in self.values[axis]:
                if value.id not in ids:
                    yield axis, value.id, self._lacks(flavor, value)

    def scenario(self, row: Row) -> Scenario:
        """The scenario of a combination."""
        chosen = {axis: self._value(axis, row[axis]) for axis in self.axes}
        told = {variable(axis): value.id for axis, value in chosen.items()}
        straight = None
        if self.straight is not None and all(value.resumes for value in chosen.values()):
            names = [variable(axis) for axis in self.straight.axes]
            straight = Straight(
                script=self.straight.script, variables={name: told[name] for name in names}
            )
        restores = [value.restores for value in chosen.values() if value.restores is not None]
        return Scenario(
            id="-".join(value.id for value in chosen.values()),
            family=self.family,
            description=self.description.format_map(
                {axis: value.description for axis, value in chosen.items()}
            ),
            requires=tuple(
                dict.fromkeys(
                    (
                        *self.requires,
                        *(name for value in chosen.values() for name in value.requires),
                    )
                )
            ),
            restores=restores[0] if restores else (),
            control=False,
            state_only=True,
            activations_mib=self.activations_mib,
            phase=tuple(
                phase.model_copy(update={"variables": {**phase.variables, **told}})
                for phase in self.phase
            ),
            straight=straight,
            values={axis: value.id for axis, value in chosen.items()},
        )

    def _value(self, axis: str, name: str) -> Value:
        return next(value for value in self.values[axis] if value.id == name)

    def _lacks(self, flavor: Flavor, value: Value) -> str:
        reason = flavor.lacking((*self.requires, *value.requires))
        assert reason is not None  # asked of what does not apply
        return reason

    def allowed(self, axes: Mapping[str, Iterable[str]]) -> Iterator[Row]:
        """All combinations of these values that are not excluded, in their order."""
        number = covering.excluding(self._exclusions)
        for values in product(*axes.values()):
            row = dict(zip(axes, values, strict=True))
            if number(row) is None:
                yield row

    @property
    def _exclusions(self) -> tuple[Mapping[str, tuple[str, ...]], ...]:
        return tuple(entry.values for entry in self.exclude)


def variable(axis: str) -> str:
    """The environment variable that tells a phase the value of an axis."""
    return f"VARIANT_{axis.upper()}"


def _check_axes(variants: Variants) -> None:
    """Raises ValueError where a list of axes is no such list."""
    axes = variants.axes
    _unique("axes", axes)
    for number, part in enumerate(variants.pairs, 1):
        _known(f"pairs {number}", part, axes)
        if len(part) < 2:
            raise ValueError(f"pairs {number} names less than two axes")
    if variants.straight is not None:
        _known("straight.axes", variants.straight.axes, axes)
    try:
        fields = list(string.Formatter().parse(variants.description))
    except ValueError as problem:
        raise ValueError(f"description: {problem}; write {{axis}}") from None
    for _, name, form, conversion in fields:
        if name is not None and (name not in axes or form or conversion):
            raise ValueError(f"description: {{{name}}} is none of the axes {', '.join(axes)}")


def _check_values(variants: Variants) -> None:
    """Raises ValueError where values, or what they make together, cannot be."""
    for axis, values in variants.values.items():
        if not values:
            raise ValueError(f"{axis} has no value")
        _unique(axis, [value.id for value in values])
    count = math.prod(len(variants.values[axis]) for axis in variants.axes)
    if count > _COMBINATIONS:
        raise ValueError(f"the values make {count:,} combinations, more than {_COMBINATIONS:,}")
    longest = [max(len(value.id) for value in variants.values[axis]) for axis in variants.axes]
    if sum(longest) + len(longest) - 1 > _ID_CHARACTERS:
        raise ValueError(f"an id of the longest values has more than {_ID_CHARACTERS} characters")
    restoring = [
        axis
        for axis, values in variants.values.items()
        if any(value.restores is not None for value in values)
    ]
    if len(restoring) > 1:
        raise ValueError(
            f"restores is said by values of more than one axis: {', '.join(restoring)}"
        )


def _check_exclusions(variants: Variants) -> None:
    """Raises ValueError where an entry names what is not there, or nothing is left of a value."""
    ids = variants.ids
    for number, entry in enumerate(variants.exclude, 1):
        for axis, values in entry.values.items():
            _known(f"exclude {number}", [axis], variants.axes)
            _known(f"exclude {number}: {axis}", values, ids[axis])
            if not values:
                raise ValueError(f"exclude {number}: {axis} names no value")
    for axis, values in ids.items():
        for value in values:
            if next(variants.allowed({**ids, axis: (value,)}), None) is None:
                raise ValueError(f"{axis} {value} is in no combination: all are excluded")


def _unique(name: str, names: Collection[str]) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"{name}: one is there twice: {', '.join(names)}")


def _known(name: str, names: Collection[str], known: Collection[str]) -> None:
    _unique(name, names)
    for entry in names:
        if entry not in known:
            raise ValueError(f"{name}: {entry!r} is none of {', '.join(known)}")


@lru_cache(maxsize=256)
def _covering(
    axes: tuple[tuple[str, tuple[str, ...]], ...],
    pairs: tuple[tuple[str, ...], ...],
    excluded: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...],
    apart: tuple[str, ...],
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """`covering.rows`, once for flavors that have the same values; each by axis, in their order."""
    found = covering.rows(dict(axes), pairs, [dict(entry) for entry in excluded], apart)
    return tuple(tuple((axis, row[axis]) for axis, _ in axes) for row in found)
