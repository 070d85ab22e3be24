"""The heat map: scenarios by flavors; a cell's colour is the worst check, its glyph says which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.text import one_line
from harness.record.checks import WORST_FIRST, CheckId, Status
from harness.report.overview import WORDS
from harness.report.totals import CHECKS, Judged, Totals

GLYPHS: dict[CheckId, str] = {
    **{check: str(number) for number, check in enumerate(CHECKS, 1)},
    CheckId.CAUGHT: "c",
}
PASSED, KNOWN, SKIPPED = "✓", "k", "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """A case in the heat map.

    Attributes:
        status: value of the worst check's status.
        label: the case and its verdict in words, for a screen reader and as a tooltip.
        href: address of the case's page.
    """

    status: str
    glyph: str
    label: str
    href: str


@dataclass(frozen=True)
class Row:
    """A scenario: a cell for each flavor, None where the pair can never apply."""

    scenario: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Block:
    """The scenarios of one family, and how many of its cases have which verdict."""

    family: str
    score: str
    rows: list[Row]


@dataclass(frozen=True)
class HeatMap:
    """The heat map of a run.

    Attributes:
        legend: glyph, what it stands for, and the status whose colour it has ("" where any).
        statuses: (value, word) of those that are there, the worst first.
    """

    flavors: list[str]
    blocks: list[Block]
    legend: list[tuple[str, str, str]]
    statuses: list[tuple[str, str]]
    cases: int


def gather(counts: Totals, flavors: list[str], pages: Mapping[str, str]) -> HeatMap:
    """Returns the heat map of a run.

    Args:
        flavors: ids of the record's flavors; those that only a case names follow.
        pages: id of a case → address of its page.
    """
    columns = list(dict.fromkeys([*flavors, *(judged.case.flavor for judged in counts.cases)]))
    families: dict[str, dict[str, dict[str, Judged]]] = {}
    for judged in counts.cases:
        case = judged.case
        rows = families.setdefault(case.family, {})
        rows.setdefault(case.title, {})[case.flavor] = judged
    blocks = [
        Block(
            one_line(family),
            _score([judged for row in rows.values() for judged in row.values()]),
            [
                Row(
                    one_line(scenario),
                    tuple(
                        _cell(row[flavor], pages[row[flavor].case.id]) if flavor in row else None
                        for flavor in columns
                    ),
                )
                for scenario, row in rows.items()
            ],
        )
        for family, rows in families.items()
    ]
    found = {judged.status for judged in counts.cases}
    return HeatMap(
        [one_line(flavor) for flavor in columns],
        blocks,
        _legend(),
        [(status.value, WORDS[status].lower()) for status in WORST_FIRST if status in found],
        len(counts.cases),
    )


def _cell(judged: Judged, href: str) -> Cell:
    status = judged.status
    where = f"{judged.case.title} on {judged.case.flavor}: {WORDS[status].lower()}"
    glyph = {Status.PASSED: PASSED, Status.KNOWN: KNOWN, Status.SKIPPED: SKIPPED}.get(status, "")
    if status is not Status.PASSED and status is not Status.SKIPPED:
        checks = judged.having(status)
        where += f", {checks[0].id.label}"
        if len(checks) > 1:
            where += f" and {len(checks) - 1} more"
        if not glyph:
            glyph = GLYPHS[checks[0].id] + ("?" if status is Status.ERROR else "")
    return Cell(status.value, glyph, one_line(where), href)


def _score(cases: list[Judged]) -> str:
    found = Counter(judged.status for judged in cases)
    return ", ".join(
        f"{found[status]:,} {WORDS[status].lower()}" for status in WORST_FIRST if found[status]
    )


def _legend() -> list[tuple[str, str, str]]:
    return [
        *((GLYPHS[check], check.label, "failed") for check in (*CHECKS, CheckId.CAUGHT)),
        ("1?", "that check could not be judged", "error"),
        (KNOWN, "known defect", "known"),
        (PASSED, "all passed", "passed"),
        (SKIPPED, "skipped", "skipped"),
    ]
