"""CTRF documents, validated by the published schema (tests/resources/ctrf, from npm's `ctrf`)."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings

from harness.base.text import clean
from harness.record.checks import CheckId, Status
from harness.record.comparison import Change, Comparison
from harness.report import totals
from harness.report.ci import ctrf
from tests import records
from tests.paths import ROOT

SCHEMA = json.loads((ROOT / "tests/resources/ctrf/ctrf-schema-0.0.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def document(record):
    found = json.loads(ctrf.render(record))
    VALIDATOR.validate(found)
    return found


@pytest.mark.parametrize(
    "record",
    [
        records.run(),
        records.green(),
        records.tried_again(),
        records.record([]),
        records.record([], started="yesterday", state="aborted", duration_s=None, command=""),
        records.record([], gpu={"name": "H100", "capability": [9, 0]}, accelerator="gpu"),
    ],
)
def test_a_document_is_valid_under_the_published_schema(record):
    found = document(record)
    summary = found["results"]["summary"]
    tests = found["results"]["tests"]
    assert (
        summary["tests"]
        == len(tests)
        == sum(len(judged.checks) for judged in totals.total(record).cases)
    )
    assert summary["passed"] == sum(test["status"] == "passed" for test in tests)
    assert summary["tests"] == summary["passed"] + summary["failed"] + summary["skipped"]


def test_the_schema_does_refuse():
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**document(records.run()), "more": 1})


def test_a_failed_check_has_all_that_explains_it():
    tests = document(records.run())["results"]["tests"]
    (test,) = [t for t in tests if t["testId"].endswith("weights-session.edit_took_effect")]
    assert test["status"] == test["rawStatus"] == "failed"
    assert test["suite"] == ["tf1-tfkeras", "keras_saveload", "weights-session"]
    assert test["message"].startswith("37 operations")
    assert test["stdout"][0].startswith("load:40: Operation")
    assert test["extra"]["reproduce"].startswith("make repro FLAVOR=tf1-tfkeras")
    assert "phases/tf1-tfkeras.weights-session.load/stderr.log" in {
        attachment["path"] for attachment in test["attachments"]
    }


def test_what_was_not_judged_is_never_green_and_what_is_known_is_skipped():
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, "lost")
    unjudged = records.check(CheckId.RESULT_UNCHANGED, Status.ERROR, "no result")
    case = records.case(
        "one", checks=records.checks(state_restored=known, result_unchanged=unjudged)
    )
    tests = {t["testId"]: t for t in document(records.record([case]))["results"]["tests"]}
    restored = tests["tf1-tfkeras.keras_saveload.one.state_restored"]
    assert (restored["status"], restored["rawStatus"]) == ("skipped", "known")
    assert restored["message"].startswith("known defect moments-lost")
    unchanged = tests["tf1-tfkeras.keras_saveload.one.result_unchanged"]
    assert (unchanged["status"], unchanged["rawStatus"]) == ("failed", "error")


def test_times_add_up_and_a_shared_phase_counts_once():
    record = records.record([records.case("one"), records.case("two")])
    tests = document(record)["results"]["tests"]
    assert sum(test["duration"] for test in tests) == 1000 * 2.3 * len(record.phases)


def test_ids_of_tests_and_of_the_report_stay_the_same():
    first, again = document(records.run()), document(records.run())
    assert first == again
    ids = [test["testId"] for test in first["results"]["tests"]]
    assert len(ids) == len(set(ids))


def test_the_baseline_and_what_is_flaky_are_told():
    change = Change(
        case="tf1-tfkeras.keras_saveload.trainsave-loadtrain",
        check=CheckId.RESULT_UNCHANGED,
        before=Status.PASSED,
        after=Status.FAILED,
        message="x",
    )
    compared = Comparison(base=["base-run"], run="run", flaky=[change])
    found = document(records.run().model_copy(update={"comparison": compared}))
    assert found["baseline"]["source"] == "base-run"
    flaky = [test["testId"] for test in found["results"]["tests"] if test.get("flaky")]
    assert flaky == ["tf1-tfkeras.keras_saveload.trainsave-loadtrain.result_unchanged"]


@settings(max_examples=30)
@given(records.ANYTHING)
def test_whatever_a_record_holds_the_document_is_valid(text):
    check = records.check(CheckId.EDIT_TOOK_EFFECT, Status.FAILED, clean(text) or "x", lines=[text])
    case = records.case(
        "one", checks=records.checks(edit_took_effect=check), reproduce=text, description=text
    )
    document(records.record([case], id=text, command=text, host={text: text}, started=text))


def test_an_attempt_that_does_not_count_is_a_retry_and_makes_no_test_flaky():
    tests = document(records.tried_again())["results"]["tests"]
    (test,) = [test for test in tests if "retries" in test]
    assert test["testId"] == "tf1-tfkeras.keras_saveload.trainsave-loadtrain.phases_complete"
    assert (test["status"], test["retries"]) == ("passed", 1)
    (attempt,) = test["retryAttempts"]
    assert (attempt["attempt"], attempt["status"], attempt["duration"]) == (1, "other", 1500)
    assert attempt["message"].startswith("load: attempt 1 does not count: failed after 1.5 s on")
    assert attempt["attachments"][0]["path"].endswith(".load/attempts/1/stderr.log")
    assert not any("flaky" in test for test in tests)


def test_each_of_several_gpus_is_in_the_environment():
    extra = document(records.tried_again())["results"]["environment"]["extra"]
    assert (extra["gpu 0 uuid"], extra["gpu 1 uuid"]) == ("GPU-1", "GPU-2")
