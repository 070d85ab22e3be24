"""What a comparison says of two runs, and what it must not say."""

from __future__ import annotations

import pytest

from harness.comparison import baseline
from harness.comparison.comparison import compare, exit_code
from harness.record.checks import CheckId, Status
from harness.record.comparison import Comparison
from harness.record.facts import LogFacts, Trace
from harness.record.models import FlavorRecord, RunRecord
from tests import records

EDIT = "37 operations were changed after a session had run them"
GPU = {"name": "H100", "uuid": "GPU-1", "driver_version": "550.1"}


def compared(base: RunRecord, run: RunRecord) -> Comparison:
    return compare(baseline.of([base]), baseline.of([run]))


def run_of(*cases, **values) -> RunRecord:
    return records.record(list(cases), **values)


def edited(status: Status, scenario: str = "one", **values):
    """A case whose third check has this status."""
    check = records.check(CheckId.EDIT_TOOK_EFFECT, status, EDIT)
    return records.case(scenario, checks=records.checks(edit_took_effect=check), **values)


def measured(scenario: str = "one", **numbers):
    """A case whose swapping was measured with these numbers in place of the usual ones."""
    check = records.check(CheckId.SWAPPING_CONFIRMED, numbers={**records.NUMBERS, **numbers})
    return records.case(scenario, checks=records.checks(swapping_confirmed=check))


def test_a_run_beside_itself_is_no_regression():
    found = compared(records.run(), records.run())
    assert not found.regressed
    assert exit_code(found) == 0
    lists = found.model_dump(exclude={"base", "run", "checks", "numbers", "persisting"})
    assert not any(lists.values()), lists
    assert found.numbers > 0
    assert {change.case.rpartition(".")[2] for change in found.persisting} == {
        *("weights-session", "checkpoint-restore", "stale-artifact")
    }


def test_what_fails_newly_comes_first_with_its_first_failing_check():
    broken = records.case(
        "two",
        checks=records.checks(
            edit_took_effect=records.check(CheckId.EDIT_TOOK_EFFECT, Status.FAILED, EDIT),
            swapping_confirmed=records.check(CheckId.SWAPPING_CONFIRMED, Status.FAILED, "refuted"),
            result_unchanged=records.check(CheckId.RESULT_UNCHANGED, Status.ERROR, "no result"),
        ),
    )
    base = run_of(records.case("one"), records.case("two"))
    found = compared(base, run_of(records.case("one"), broken))
    (change,) = found.failing
    assert (change.case, change.check) == (
        "tf1-tfkeras.keras_saveload.two",
        CheckId.EDIT_TOOK_EFFECT,
    )
    assert (change.before, change.after, change.message) == (Status.PASSED, Status.FAILED, EDIT)
    assert change.also == [CheckId.SWAPPING_CONFIRMED]
    assert found.unjudged == []  # the case is told of already
    assert exit_code(found) == 1


@pytest.mark.parametrize(
    ("before", "after", "group", "code"),
    [
        (Status.PASSED, Status.FAILED, "failing", 1),
        (Status.KNOWN, Status.FAILED, "failing", 1),
        (Status.ERROR, Status.FAILED, "failing", 1),
        (Status.SKIPPED, Status.FAILED, "failing", 1),
        (Status.FAILED, Status.FAILED, "persisting", 0),
        (Status.FAILED, Status.PASSED, "fixed", 0),
        (Status.KNOWN, Status.PASSED, "fixed", 0),
        (Status.ERROR, Status.PASSED, "fixed", 0),
        (Status.PASSED, Status.KNOWN, "known", 0),
        (Status.FAILED, Status.KNOWN, "known", 0),
        (Status.PASSED, Status.ERROR, "unjudged", 2),
        (Status.FAILED, Status.ERROR, "unjudged", 2),
        (Status.PASSED, Status.SKIPPED, "unjudged", 0),
        (Status.ERROR, Status.SKIPPED, None, 0),
        (Status.SKIPPED, Status.PASSED, None, 0),
        (Status.ERROR, Status.ERROR, None, 0),
    ],
)
def test_each_change_of_a_verdict_has_one_list(before, after, group, code):
    found = compared(run_of(edited(before)), run_of(edited(after)))
    lists = {
        name: changes
        for name in ("failing", "unjudged", "fixed", "known", "flaky", "persisting")
        if (changes := getattr(found, name))
    }
    assert list(lists) == ([group] if group else [])
    assert exit_code(found) == code


def test_of_what_is_fixed_the_message_is_the_one_it_had_failed_with():
    (change,) = compared(run_of(edited(Status.FAILED)), run_of(edited(Status.PASSED))).fixed
    assert change.message == EDIT


def test_a_case_of_one_side_alone_is_named_and_a_failing_one_is_a_regression():
    both = records.case("both")
    base, run = run_of(both, records.case("gone")), run_of(both, records.case("added"))
    found = compared(base, run)
    assert found.only_base == ["tf1-tfkeras.keras_saveload.gone"]
    assert found.only_run == ["tf1-tfkeras.keras_saveload.added"]
    assert not found.regressed
    (change,) = compared(run_of(both), run_of(both, edited(Status.FAILED, "added"))).failing
    assert (change.case, change.before) == ("tf1-tfkeras.keras_saveload.added", None)


def test_runs_with_nothing_in_common_are_no_pass():
    found = compared(run_of(records.case("one")), run_of(records.case("two")))
    assert not found.regressed
    assert exit_code(found) == 2


def test_a_side_that_did_not_end_is_noted():
    half = run_of(records.case("one"), state="interrupted")
    whole = run_of(records.case("one"), records.case("two"))
    assert compared(half, whole).notes == ["the baseline is interrupted: it may lack cases"]
    assert compared(whole, half).notes == ["the run is interrupted: it may lack cases"]


def test_what_the_baseline_itself_does_not_say_the_same_of_is_flaky():
    several = baseline.of([run_of(edited(Status.PASSED)), run_of(edited(Status.FAILED))])
    for status, flaky in ((Status.FAILED, 1), (Status.PASSED, 0), (Status.ERROR, 0)):
        found = compare(several, baseline.of([run_of(edited(status))]))
        assert (len(found.flaky), found.failing) == (flaky, [])
    assert exit_code(found) == 2  # an error is none of the verdicts that were accepted


def test_cases_of_a_flavor_that_broke_are_no_longer_judged():
    lost = records.case("one", checks=[], phases=[])
    for error, code in ((True, 2), (False, 0)):
        flavor = FlavorRecord(id=records.TF1, unavailable="no index", error=error)
        found = compared(run_of(records.case("one")), run_of(lost, flavors=[flavor]))
        (change,) = found.unjudged
        assert change.message == "no index"
        assert exit_code(found) == code


@pytest.mark.parametrize(
    ("name", "value", "moved", "worse"),
    [
        ("moved_out_bytes", 38482739 * 0.98, True, True),
        ("moved_out_bytes", 38482739 * 0.995, False, False),
        ("moved_out_bytes", 38482739 * 1.02, True, False),
        ("executed_swap_in", 12, True, True),
        ("peak_bytes", 48234496 * 1.06, True, True),
        ("peak_bytes", 48234496 * 1.04, False, False),
        ("peak_bytes", 48234496 * 0.9, True, False),
        ("control_peak_bytes", 86717235 * 1.2, True, False),
    ],
)
def test_numbers_beyond_their_tolerance_moved_and_some_for_the_worse(name, value, moved, worse):
    found = compared(run_of(measured()), run_of(measured(**{name: value})))
    assert [entry.name for entry in found.moved] == [name] * moved
    assert [entry.name for entry in found.worse] == [name] * worse
    assert exit_code(found) == int(worse)


def test_numbers_for_the_worse_come_first_and_the_largest_of_them():
    run = run_of(measured(moved_in_bytes=1, executed_swap_out=6, control_peak_bytes=10**9))
    found = compared(run_of(measured()), run)
    names = [entry.name for entry in found.moved]
    assert names == ["moved_in_bytes", "executed_swap_out", "control_peak_bytes"]


def test_a_time_is_a_regression_on_one_and_the_same_gpu_alone():
    slow, fast = measured(step_ms=130.0), measured(step_ms=100.0)
    virtual = compared(run_of(fast), run_of(slow))
    assert [entry.worse for entry in virtual.moved] == [False]
    on_gpu = {"accelerator": "gpu", "gpu": GPU}
    found = compared(run_of(fast, **on_gpu), run_of(slow, **on_gpu))
    assert [entry.worse for entry in found.moved] == [True]
    other = {"accelerator": "gpu", "gpu": {**GPU, "name": "A100"}}
    assert compared(run_of(fast, **on_gpu), run_of(slow, **other)).moved == []


@pytest.mark.parametrize(
    "values",
    [
        {"accelerator": "gpu", "gpu": GPU},
        {"parameters": {"swapout_threshold": 40}},
    ],
)
def test_no_number_is_compared_where_the_runs_are_of_another_kind(values):
    found = compared(run_of(measured()), run_of(measured(peak_bytes=10**10), **values))
    assert (found.moved, found.numbers, found.regressed) == ([], 0, False)
    (reason,) = found.notes
    assert reason.startswith("no number is compared: the two are of different ")
    failing = compared(run_of(edited(Status.PASSED)), run_of(edited(Status.FAILED), **values))
    assert failing.regressed  # a verdict is one everywhere


def test_a_provider_more_in_the_run_keeps_no_number_from_being_compared():
    found = compared(
        run_of(measured()), run_of(measured(peak_bytes=10**10), provider="builtin,remat")
    )
    assert [entry.name for entry in found.moved] == ["peak_bytes"]
    assert found.regressed


def test_on_another_gpu_swaps_are_compared_and_peaks_are_not():
    base = run_of(measured(), accelerator="gpu", gpu=GPU)
    run = run_of(
        measured(peak_bytes=10**10, moved_out_bytes=1),
        accelerator="gpu",
        gpu={**GPU, "name": "A100", "driver_version": "560.0"},
    )
    found = compared(base, run)
    assert [entry.name for entry in found.moved] == ["moved_out_bytes"]
    assert found.notes == [
        "no peak and no time is compared: the GPUs are different ones, H100 and A100"
    ]
    assert {(fact.where, fact.name) for fact in found.provenance} == {
        *(("gpu", "name"), ("gpu", "driver_version"))
    }


def test_no_number_is_compared_of_a_step_of_another_batch():
    def batched(batch: int, **numbers):
        case = measured(**numbers)
        trace = Trace(function="train", batch=batch, meter="allocations", line=1)
        load = records.phase(case.phases[-1].key, facts=LogFacts(traces=[trace]))
        return run_of(case, phases=[load])

    assert compared(batched(32), batched(32, peak_bytes=10**9)).regressed
    found = compared(batched(32), batched(64, peak_bytes=10**9))
    assert not found.moved
    assert found.notes == [
        "no number of tf1-tfkeras.keras_saveload.one is compared: their steps are of other batches"
    ]


def test_a_package_that_differs_is_named_by_its_versions():
    def of(packages: str) -> RunRecord:
        facts = {"packages": packages, "environment": f"/env/{packages}", "python": "3.7.17"}
        flavor = FlavorRecord(id=records.TF1, provenance=facts)
        return run_of(records.case("one"), flavors=[flavor])

    found = compared(of("h5py==2.10.0 six==1.17.0"), of("h5py==3.1.0 wheel==0.42.0"))
    assert [(fact.name, fact.before, fact.after) for fact in found.provenance] == [
        ("package h5py", "2.10.0", "3.1.0"),
        ("package six", "1.17.0", None),
        ("package wheel", None, "0.42.0"),
    ]
