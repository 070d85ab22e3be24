"""What a baseline keeps of runs, and its file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from harness.base.error import UsageError
from harness.base.text import clean
from harness.comparison import baseline
from harness.comparison.baseline import Baseline
from harness.record.checks import CheckId, Status
from tests import records


def case(**numbers):
    check = records.check(CheckId.SWAPPING_CONFIRMED, numbers={**records.NUMBERS, **numbers})
    return records.case("one", checks=records.checks(swapping_confirmed=check))


def test_the_file_is_read_back_as_it_was_but_for_rounded_peaks():
    made = baseline.of([records.run()])
    read = Baseline.model_validate_json(made.to_text())
    assert read.to_text() == made.to_text()
    assert read.facts == made.facts
    for name, kept in made.cases.items():
        assert {k: v.status for k, v in read.cases[name].checks.items()} == {
            k: v.status for k, v in kept.checks.items()
        }
    (peak,) = {
        check.numbers["peak_bytes"]
        for entry in read.cases.values()
        for check in entry.checks.values()
        if "control_peak_bytes" in check.numbers and "moved_out_bytes" in check.numbers
    }
    assert peak == 48230000


def test_a_check_is_one_line_and_its_change_is_one_line_of_a_difference():
    before = baseline.of([records.record([case(moved_out_bytes=1000)])]).to_text().splitlines()
    after = baseline.of([records.record([case(moved_out_bytes=2000)])]).to_text().splitlines()
    assert len(before) == len(after)
    (changed,) = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed[0].strip().startswith('"swapping_confirmed": {')


def test_the_file_does_not_depend_on_the_order_of_cases_nor_on_what_varies():
    cases = [records.case("b"), records.case("a"), case(step_ms=17.0, peak_bytes=48234496)]
    again = [case(step_ms=99.0, peak_bytes=48234752), records.case("a"), records.case("b")]
    text = baseline.of([records.record(cases)]).to_text()
    assert text == baseline.of([records.record(again)]).to_text()
    names = list(json.loads(text)["cases"])
    assert names == sorted(names)
    assert "step_ms" not in text


def test_times_of_a_gpu_are_kept():
    record = records.record([case(step_ms=17.0)], accelerator="gpu", gpu={"name": "H100"})
    assert '"step_ms": 17.0' in baseline.of([record]).to_text()


def test_a_run_without_cases_makes_a_file_too():
    text = baseline.of([records.record([])]).to_text()
    assert Baseline.model_validate_json(text).cases == {}


def test_several_runs_leave_each_verdict_that_a_check_had():
    failed = records.check(CheckId.EDIT_TOOK_EFFECT, Status.FAILED, "too late")
    runs = [
        records.record([records.case("one")], id="a"),
        records.record(
            [records.case("one", checks=records.checks(edit_took_effect=failed))], id="b"
        ),
        records.record([records.case("two")], id="c"),
    ]
    made = baseline.of(runs)
    assert made.runs == ["a", "b", "c"]
    check_id = CheckId.EDIT_TOOK_EFFECT
    check = made.cases["tf1-tfkeras.keras_saveload.one"].checks[check_id]
    assert (check.status, check.others, check.message) == (
        *(Status.PASSED, [Status.FAILED], "too late"),
    )
    assert "tf1-tfkeras.keras_saveload.two" in made.cases
    again = Baseline.model_validate_json(made.to_text())
    assert again.cases["tf1-tfkeras.keras_saveload.one"].checks[check_id].others == check.others


def test_runs_of_different_kinds_make_no_baseline_together():
    other = records.record([], id="other", accelerator="gpu")
    with pytest.raises(UsageError, match="run other is of another accelerator"):
        baseline.of([records.record([]), other])


@given(records.ANYTHING)
def test_whatever_a_record_holds_the_file_is_read_back(text):
    hostile = records.check(CheckId.EDIT_TOOK_EFFECT, Status.FAILED, clean(text) or "x")
    record = records.record(
        [records.case("one", checks=records.checks(edit_took_effect=hostile))],
        host={text: text},
        id=text,
    )
    document = baseline.of([record]).to_text()
    assert "\n\n" not in document
    Baseline.model_validate_json(document)
