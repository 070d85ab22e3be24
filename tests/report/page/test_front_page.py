"""What the overview shows is what the other reports say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.report.page import front_page, links
from harness.report.reading import Reading
from tests import records
from tests.report.page import examples


def gather(record):
    return front_page.gather(Reading(record, Path()), links.pages_of(record.cases))


def test_the_verdict_and_what_did_not_pass():
    found = gather(examples.run())
    assert found.headline.word == "FAILED"
    assert found.verdict == "failed"
    assert found.started == "2025-03-01 10:00 UTC"
    first = found.problems[0]
    assert (first.status, first.word, first.case) == ("failed", "failed", examples.FAILED)
    assert first.href == f"cases/{examples.FAILED}.html"
    assert first.checks == "edit took effect"
    statuses = [problem.status for problem in found.problems]
    assert statuses == sorted(statuses, key=["failed", "error"].index)


def test_a_run_in_which_all_passed_has_no_problem():
    found = gather(records.green())
    assert (found.verdict, found.problems, found.known) == ("passed", [], [])


def test_known_defects_lead_to_their_cases():
    (defect,) = gather(examples.run()).known
    assert "moments-lost" in defect.text
    assert defect.count == 1
    assert defect.seen[0].href.endswith(".known-defect.html")


def test_problems_are_bounded_and_the_rest_counted():
    broken = records.run().cases[2]
    cases = [broken.model_copy(update={"scenario": f"s{number}"}) for number in range(130)]
    found = gather(records.record(cases))
    assert len(found.problems) == front_page.PROBLEMS
    assert found.more_problems == 30


def test_what_changed_since_the_baseline():
    assert gather(records.run()).changes is None
    found = gather(examples.run()).changes
    assert found is not None
    assert found.regressed
    assert found.headline.startswith("REGRESSED: 1 newly failing")
    title, entries, more = found.lists[0]
    assert (title, more) == ("newly failing: 1", 0)
    assert entries[0].what == examples.FAILED
    assert entries[0].href == f"cases/{examples.FAILED}.html"
    assert entries[0].words.startswith("edit took effect was passed")
    assert found.lists[-1][1][0].href is None  # a fact of where it ran is no case


def test_the_slowest_phases_lead_to_a_case():
    record = records.green()
    slow = record.phases[1].model_copy(update={"duration_s": 9.2})
    record = record.model_copy(update={"phases": [record.phases[0], slow, *record.phases[2:]]})
    first, second = gather(record).slowest[:2]
    assert (first.name, first.seconds, first.share) == (slow.key, "9.2 s", 100)
    assert second.share == 25
    assert first.href == f"cases/{record.cases[0].id}.html"


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 0.0, None])
def test_a_phase_without_a_time_is_none_of_the_slowest(seconds):
    record = records.run()
    odd = record.phases[0].model_copy(update={"duration_s": seconds})
    record = record.model_copy(update={"phases": [odd, *record.phases[1:]]})
    assert odd.key not in [slow.name for slow in gather(record).slowest]
    assert [slow.share for slow in gather(record).slowest] == [100] * front_page.SLOWEST


def test_a_run_without_anything():
    found = gather(records.record([]))
    assert (found.verdict, found.slowest, found.heat_map.cases) == ("error", [], 0)
