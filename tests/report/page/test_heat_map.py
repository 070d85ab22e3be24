"""A cell says the worst of its case's checks, by colour and by glyph."""

from __future__ import annotations

import pytest

from harness.record.checks import CheckId, Status
from harness.report.page import heat_map, links
from harness.report.totals import total
from tests import records
from tests.records import KERAS22, TF1


def gather(*cases):
    record = records.record(list(cases))
    flavors = [flavor.id for flavor in record.flavors]
    return heat_map.gather(total(record), flavors, links.pages_of(record.cases))


def with_checks(**checks):
    return records.case("one", checks=records.checks(**checks))


BAD = {
    check: records.check(check, status, "x")
    for check, status in (
        (CheckId.SWAPPING_CONFIRMED, Status.FAILED),
        (CheckId.STATE_RESTORED, Status.ERROR),
        (CheckId.RESUME_EQUAL, Status.KNOWN),
    )
}
FAILED, ERROR, KNOWN = BAD.values()


@pytest.mark.parametrize(
    ("case", "status", "glyph", "words"),
    [
        (records.case("one"), "passed", "✓", "one on tf1-tfkeras: passed"),
        (with_checks(swapping_confirmed=FAILED), "failed", "5", "failed, swapping confirmed"),
        (with_checks(state_restored=ERROR), "error", "4?", "not judged, state restored"),
        (
            with_checks(state_restored=ERROR, swapping_confirmed=FAILED),
            "failed",
            "5",
            "failed, swapping confirmed",
        ),
        (with_checks(resume_equal=KNOWN), "known", "k", "known, resumed equals uninterrupted"),
        (records.case("one", checks=[], skip="x"), "skipped", heat_map.SKIPPED, "skipped"),
        (
            records.case(
                "one",
                expects=CheckId.STATE_RESTORED,
                checks=[records.check(CheckId.CAUGHT, Status.FAILED, "not caught")],
            ),
            "failed",
            "c",
            "failed, caught by the harness",
        ),
    ],
)
def test_a_cell(case, status, glyph, words):
    (block,) = gather(case).blocks
    (cell,) = block.rows[0].cells
    assert cell is not None
    assert (cell.status, cell.glyph) == (status, glyph)
    assert cell.label.endswith(words)
    assert cell.href == f"cases/{case.id}.html"


def test_glyphs_differ_and_the_legend_has_them():
    glyphs = list(heat_map.GLYPHS.values())
    assert len(set(glyphs)) == len(CheckId)
    legend = {glyph for glyph, _, _ in gather(records.case("one")).legend}
    assert {*glyphs, heat_map.PASSED, heat_map.KNOWN, heat_map.SKIPPED} <= legend


def test_rows_are_scenarios_by_family_and_columns_flavors():
    found = gather(
        records.case("one"),
        records.case("one", KERAS22),
        records.case("two", KERAS22),
        records.case("one", family="canary"),
    )
    assert found.flavors == [TF1, KERAS22]
    assert [(block.family, block.score) for block in found.blocks] == [
        (records.FAMILY, "3 passed"),
        ("canary", "1 passed"),
    ]
    shape = [[cell is not None for cell in row.cells] for row in found.blocks[0].rows]
    assert shape == [[True, True], [False, True]]
    assert found.cases == 4


def test_a_flavor_that_only_a_case_names_has_a_column():
    record = records.record([records.case("one")], flavors=[])
    found = heat_map.gather(total(record), [], links.pages_of(record.cases))
    assert found.flavors == [TF1]


def test_only_statuses_that_are_there_can_be_asked_for():
    assert gather(records.case("one")).statuses == [("passed", "passed")]
    found = gather(records.case("two"), with_checks(swapping_confirmed=FAILED))
    assert found.statuses == [("failed", "failed"), ("passed", "passed")]


def test_cases_of_several_providers_have_a_row_each():
    cases = [records.case("one"), records.case("one").model_copy(update={"provider": "other"})]
    (group,) = gather(*cases).blocks
    assert [row.scenario for row in group.rows] == ["one", "one (other)"]
    assert len({cell.href for row in group.rows for cell in row.cells if cell}) == 2
