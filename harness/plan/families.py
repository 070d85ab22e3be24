"""Families whose scenarios are variants, as people read them: as lines, and on a page. Pure.

Each variant for itself would be a list that nobody reads: it is axes, values, and how many.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.base.markdown import code, escape
from harness.base.text import plural
from harness.catalog.catalog import Catalog
from harness.catalog.flavors import Flavor
from harness.catalog.variants import Variants


def numbers(catalog: Catalog, variants: Variants, flavor: Flavor) -> str:
    """How many variants of a family a flavor runs, of how many it could, e.g. `28 of 180`."""
    made = {entry.id for entry in catalog.scenarios if entry.family == variants.family}
    run = len(made & catalog.chosen.get(flavor.id, frozenset()))
    return f"{run:,} of {variants.count(flavor):,}"


def line(catalog: Catalog, variants: Variants, flavor: Flavor) -> str:
    """What a flavor runs of a family, in words."""
    return f"{numbers(catalog, variants, flavor)} variants: {_kind(variants)}"


def description(catalog: Catalog, variants: Variants) -> Iterator[str]:
    """A family in full, for `harness describe`."""
    yield f"{variants.family} / {variants.pattern}: {_kind(variants)}"
    for phase in variants.phase:
        yield f"  {phase.id}: {phase.script} [{phase.role}]"
    if variants.straight is not None:
        axes = ", ".join(variants.straight.axes)
        yield f"  compared with a straight of equal {axes}: {variants.straight.script}"
    for axis in variants.axes:
        yield f"  {axis}: {plural(len(variants.values[axis]), 'value')}"
        for value in variants.values[axis]:
            yield f"    {value.id}: {value.description}"
    for entry in variants.exclude:
        never = " ".join(f"{axis}={'|'.join(names)}" for axis, names in entry.values.items())
        yield f"  never {never}: {entry.reason}"
    for flavor in catalog.flavors:
        yield f"  {flavor.id}: {numbers(catalog, variants, flavor)} variants"
        for axis, name, reason in variants.unmet(flavor):
            yield f"    without {axis} {name}: {reason}"


def rows(catalog: Catalog, reasons: dict[str, int]) -> Iterator[str]:
    """A row for each of these families in the table of the matrix.

    Args:
        reasons: numbers of the reasons why something can never apply; those given here are added.
    """
    for variants in catalog.variants:
        cells = []
        for flavor in catalog.flavors:
            reason = variants.lacking(flavor)
            if reason is None:
                cells.append(numbers(catalog, variants, flavor))
            else:
                cells.append(f"- ({reasons.setdefault(reason, len(reasons) + 1)})")
        yield f"| `{variants.family}` | `{variants.pattern}` | {' | '.join(cells)} |"


def sections(catalog: Catalog) -> Iterator[str]:
    """The axes and values of each of these families, in Markdown."""
    for variants in catalog.variants:
        yield ""
        yield f"## Variants of `{variants.family}`"
        yield ""
        yield from (
            f"A case is {code(_kind(variants))}: one value of each axis. `8 of 60` above are",
            f"8 that run by default, of 60: so many that {_wanted(variants)}",
            "is in one of them. `DEPTH=full` runs all. What a flavor lacks for a value says",
            f"`harness describe {variants.family}`.",
            "",
        )
        yield "| axis | value | is | not on |"
        yield "| --- | --- | --- | --- |"
        unmet = {
            flavor.id: {(axis, name) for axis, name, _ in variants.unmet(flavor)}
            for flavor in catalog.flavors
        }
        for axis in variants.axes:
            for value in variants.values[axis]:
                lacking = ", ".join(name for name in unmet if (axis, value.id) in unmet[name])
                described = escape(value.description)
                yield f"| {code(axis)} | {code(value.id)} | {described} | {lacking} |"
        if variants.exclude:
            yield ""
        for entry in variants.exclude:
            never = ", ".join(
                f"{axis} {' or '.join(names)}" for axis, names in entry.values.items()
            )
            yield f"- never {escape(never)}: {escape(entry.reason)}"


def _kind(variants: Variants) -> str:
    """The description of a variant with the names of the axes in place of values."""
    return variants.description.format_map({axis: f"<{axis}>" for axis in variants.axes})


def _wanted(variants: Variants) -> str:
    """What the variants that run by default hold, in words."""
    pairs = " and ".join(f"of {' with '.join(part)}" for part in variants.pairs)
    return "every value" + (f", and every pair of values {pairs}," if pairs else "")
