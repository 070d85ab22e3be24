"""The tables of what each provider did."""

from __future__ import annotations

from harness.record.checks import Check, CheckId, Status
from harness.record.models import CaseRecord, FlavorRecord
from harness.report.tables import providers
from tests.records import HOSTILE, NUMBERS, TF1, case, check, checks, record

LOST = checks(
    swapping_confirmed=check(
        CheckId.SWAPPING_CONFIRMED,
        Status.KNOWN,
        "refuted: the peak did not fall",
        numbers={**NUMBERS, "peak_bytes": 86717235, "moved_out_bytes": 0, "moved_in_bytes": 0},
    ),
    resume_equal=check(CheckId.RESUME_EQUAL, Status.SKIPPED, "no straight"),
)


def rows(*cases: CaseRecord) -> list[list[list[str]]]:
    """The cells of the rows of each table, without its head's line below."""
    made = record(list(cases), flavors=[FlavorRecord(id=TF1)], phases=[])
    found: list[list[list[str]]] = [[]]
    for line in providers.lines([made]):
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif found[-1]:
            found.append([])
    return [[head, *body] for head, _, *body in found if head]


def test_each_provider_has_a_row_with_what_became_of_each_check() -> None:
    counts, _ = rows(
        case("one", provider="remat"),
        case("two", provider="remat", checks=LOST),
        case("three", provider="save_on_cpu"),
    )
    assert counts[0] == ["provider", "flavor", "cases", *"12345678", "canaries"]
    assert counts[1] == [
        *("remat", TF1, "2", "2", "2", "2", "2", "1, 1 known", "2", "2", "1", "-"),
    ]
    assert counts[2] == [*("save_on_cpu", TF1, "1", *["1"] * 8, "-")]


def test_what_fails_is_not_hidden_behind_what_passes() -> None:
    broken = checks(result_unchanged=check(CheckId.RESULT_UNCHANGED, Status.FAILED, "other loss"))
    counts, _ = rows(case("one"), case("two", checks=broken))
    assert counts[1][8] == "1, 1 failed"


def test_a_canary_counts_as_caught_and_is_no_case() -> None:
    def canary(name: str, status: Status) -> CaseRecord:
        verdict = Check(id=CheckId.CAUGHT, status=status, message="as it is")
        return case(name, expects=CheckId.SWAPPING_CONFIRMED, checks=[verdict])

    counts, steps = rows(case("one"), canary("off", Status.PASSED), canary("late", Status.FAILED))
    assert (counts[1][2], counts[1][-1]) == ("1", "1 of 2 caught")
    assert len(steps) == 2  # the head, and the one case


def test_a_step_is_shown_once_for_all_that_have_it() -> None:
    _, steps = rows(case("one"), case("two"), case("lost", checks=LOST), case("three"))
    assert steps[1:] == [
        [
            *("builtin", TF1, "one and 2 others", "passed", "passed"),
            *("82.7 MiB", "46.0 MiB", "36.7 MiB", "36.7 MiB"),
        ],
        [
            *("builtin", TF1, "lost", "known moments-lost", "passed"),
            *("82.7 MiB", "82.7 MiB", "0.0 MiB", "0.0 MiB"),
        ],
    ]


def test_of_several_runs_the_last_that_has_a_case_counts() -> None:
    first = record([case("one", checks=LOST), case("two")], phases=[])
    second = record([case("one")], phases=[])
    text = "\n".join(providers.lines([first, second]))
    assert "known" not in text
    assert "one and 1 other " in text


def test_hostile_names_stay_in_their_cells() -> None:
    counts, steps = rows(*(case(name, provider=name or "p") for name in HOSTILE))
    assert {len(row) for row in counts} == {12}
    assert {len(row) for row in steps} == {9}
    assert any("\\|" in row[0] for row in counts)
