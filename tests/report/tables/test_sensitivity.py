"""The table of faults and of the checks that caught them."""

from __future__ import annotations

from typing import Any

from harness.record.checks import Check, CheckId, Status
from harness.record.models import CaseRecord, FlavorRecord
from harness.report.tables import sensitivity
from tests.records import TF1, case, check, checks, record

KNOWN = Status.KNOWN
FAULTS = {"lost": "a tenth lost", "wrong": "wrong numbers", "gone": "not there"}


def caught(*failed: CheckId, expects: CheckId = CheckId.SWAPPING_AS_BEFORE) -> dict[str, Any]:
    behind = [
        check(name.id, Status.FAILED, "broken") if name.id in failed else name for name in checks()
    ]
    verdict = Status.PASSED if expects in failed else Status.FAILED
    return {
        "expects": expects,
        "behind": behind,
        "checks": [Check(id=CheckId.CAUGHT, status=verdict, message="as it is")],
    }


def table(*cases: CaseRecord) -> list[str]:
    made = record(list(cases), flavors=[FlavorRecord(id=TF1), FlavorRecord(id="other")], phases=[])
    return list(sensitivity.lines(made, FAULTS))


def test_the_checks_that_failed_are_shown_by_number() -> None:
    lines = table(
        case("sound"),
        case("lost", **caught(CheckId.SWAPPING_CONFIRMED, CheckId.SWAPPING_AS_BEFORE)),
        case("wrong", **caught(expects=CheckId.RESULT_UNCHANGED)),
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    assert rows[0] == ["fault", TF1, "other"]
    assert rows[2:] == [
        ["none", "passed", "not run"],
        ["a tenth lost", "5 **7**", "not run"],
        ["wrong numbers", "MISSED", "not run"],
        ["not there", "not run", "not run"],
    ]
    assert "5 swapping confirmed" in lines[-2]
    assert lines[-1] == "Caught 1 of 2 faults; 0 of 1 sound cases did not pass."


def test_a_sound_case_that_fails_is_an_alarm() -> None:
    broken = checks(swapping_as_before=check(CheckId.SWAPPING_AS_BEFORE, Status.FAILED, "rose"))
    lines = table(case("sound", checks=broken))
    assert "ALARM 7" in lines[2]
    assert lines[-1] == "Caught 0 of 0 faults; 1 of 1 sound cases did not pass."


def test_a_known_defect_of_a_sound_case_is_no_alarm_and_no_pass() -> None:
    lines = table(case("sound", checks=checks(state_restored=check(CheckId.STATE_RESTORED, KNOWN))))
    assert "| known 4 " in lines[2]
    assert lines[-1] == "Caught 0 of 0 faults; 0 of 1 sound cases did not pass."
