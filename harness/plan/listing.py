"""The plan as a person or a machine reads it: lists, a scenario in full, the matrix as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.base.text import plural
from harness.catalog.catalog import Catalog, Pair
from harness.plan import families
from harness.plan.plan import Case, Plan
from harness.record.models import BUILTIN

_PAGE = """\
# The matrix

Every scenario on every flavor: {cases}. `yes` is a case, and `caught` one that is wrong on
purpose: it passes when the harness catches it. A pair with a number can never apply, for the reason
below the table: it is no case, and is in no report. What a machine lacks is another matter: such a
case is reported as skipped. A flavor that is there for [other providers](providers.md) has no
column.

`harness list --markdown` writes this page; `make list ALL=1` prints the same on a terminal.

{table}
"""


def entries(catalog: Catalog, plan: Plan, every_pair: bool = False) -> list[dict[str, Any]]:
    """The cases of a catalog as plain data, for `harness list`.

    Args:
        every_pair: the pairs too that can never apply.
    """
    cases = {case.id: case for case in plan.cases}
    return [
        _entry(pair, cases.get(pair.id))
        for pair in catalog.pairs()
        if every_pair or pair.inapplicable is None
    ]


def _entry(pair: Pair, case: Case | None) -> dict[str, Any]:
    scenario, uses = pair.scenario, () if case is None else case.uses
    return {
        "flavor": pair.flavor.id,
        "family": scenario.family,
        "scenario": scenario.id,
        "provider": pair.provider.id,
        "description": scenario.description,
        "phases": [use.key for use in uses],
        "controls": [use.control for use in uses if use.control],
        "values": scenario.values,
        "expects": scenario.expects.value if scenario.expects else None,
        "caught_in": scenario.caught_in,
        "inapplicable": pair.inapplicable,
    }


def lines(
    catalog: Catalog, listed: Sequence[Mapping[str, Any]], each: bool = False
) -> Iterator[str]:
    """Entries as text, a line each; all variants that a flavor runs of a family are one.

    Args:
        each: a line for each variant, too.
    """
    variants = {entry.family: entry for entry in catalog.variants}
    flavors = {flavor.id: flavor for flavor in catalog.flavors}
    told = set()
    for entry in listed:
        flavor, family, name = entry["flavor"], entry["family"], entry["scenario"]
        reason = entry["inapplicable"]
        text = entry["description"] if reason is None else f"does not apply: {reason}"
        if entry["values"] and not each:
            if (flavor, family) in told:
                continue
            told.add((flavor, family))
            name = variants[family].pattern
            text = families.line(catalog, variants[family], flavors[flavor])
        if entry["provider"] != BUILTIN:
            name += f" ({entry['provider']})"
        yield f"{flavor:<16} {family:<16} {name:<44} {text}"


def providers(catalog: Catalog, every_pair: bool = False) -> Iterator[str]:
    """Which provider beside our own can run on which flavor, a line each.

    Args:
        every_pair: a line for each flavor on which one can never run, too, with the reason.
    """
    for provider in catalog.shipped:
        works = catalog.works(provider)
        able = [flavor for flavor, reason in works.items() if reason is None]
        yield f"provider {provider.id:<20} {', '.join(able) or 'on none of these flavors'}"
        for flavor, reason in works.items():
            if reason is not None and every_pair:
                yield f"  not on {flavor}: {reason}"


def description(catalog: Catalog, plan: Plan) -> Iterator[str]:
    """Every scenario of a catalog in full, for `harness describe`."""
    cases = {case.id: case for case in plan.cases}
    pairs = list(catalog.pairs())
    for scenario in catalog.scenarios:
        yield f"{scenario.family} / {scenario.id}: {scenario.description}"
        if scenario.expects is not None:
            label, phase = scenario.expects.label, scenario.caught_in
            yield f"  a canary: passes when the check '{label}' fails for the phase {phase}"
        if scenario.restores:
            yield f"  compared between save and load: {', '.join(scenario.restores)}"
        for pair in pairs:
            if pair.scenario is not scenario:
                continue
            yield f"  {pair.flavor.id}: {pair.flavor.description}"
            if pair.inapplicable is None:
                yield from _phases(plan, cases[pair.id])
            else:
                yield f"    does not apply: {pair.inapplicable}"


def _phases(plan: Plan, case: Case) -> Iterator[str]:
    for use in case.uses:
        task = plan.tasks[use.key]
        shared = "" if task.key.endswith(f".{case.scenario.id}.{use.name}") else " (shared)"
        variables = " ".join(f"{key}={value}" for key, value in task.variables.items())
        yield f"    {use.name}: {task.script} [{task.role}] {variables}{shared}"
        if task.client:
            yield f"      serves {task.client}"
        yield f"      runs as {task.key}, LMS {task.provider}, at most {task.timeout_s:g} s"
        if use.control:
            yield f"      control {use.control}"


def page(catalog: Catalog) -> str:
    """The page of the whole matrix, in Markdown: `docs/matrix.md`.

    A flavor that has no case is not on it.
    """
    cases = [pair for pair in catalog.pairs() if pair.inapplicable is None]
    having = {pair.flavor.id for pair in cases}
    flavors = tuple(entry for entry in catalog.flavors if entry.id in having)
    shown = catalog.model_copy(update={"flavors": flavors})
    table = "\n".join(_table(shown, list(shown.pairs())))
    return _PAGE.format(cases=plural(len(cases), "case"), table=table)


def _table(catalog: Catalog, pairs: Iterable[Pair]) -> Iterator[str]:
    """A row a scenario or variants, a column a flavor; then the numbered reasons, and the axes."""
    reasons: dict[str, int] = {}
    scenarios = [scenario for scenario in catalog.scenarios if not scenario.values]
    rows: dict[str, list[str]] = {scenario.id: [] for scenario in scenarios}
    for pair in pairs:
        if pair.scenario.values:
            continue
        if pair.inapplicable is not None:
            cell = f"- ({reasons.setdefault(pair.inapplicable, len(reasons) + 1)})"
        else:
            cell = "yes" if pair.scenario.expects is None else "caught"
        rows[pair.scenario.id].append(cell)
    yield f"| family | scenario | {' | '.join(flavor.id for flavor in catalog.flavors)} |"
    yield f"| --- | --- | {' | '.join('---' for _ in catalog.flavors)} |"
    for scenario in scenarios:
        yield f"| `{scenario.family}` | `{scenario.id}` | {' | '.join(rows[scenario.id])} |"
    yield from families.rows(catalog, reasons)
    yield ""
    for reason, number in reasons.items():
        yield f"- ({number}) {reason}"
    yield from families.sections(catalog)
