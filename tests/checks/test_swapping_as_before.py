"""Check 7: all that it says, of records alone."""

from __future__ import annotations

from typing import Any

import pytest

from harness.catalog.scenarios import Scenario
from harness.checks import swapping_as_before
from harness.checks.evidence import Evidence, Reference
from harness.checks.finding import check
from harness.checks.judge import judge
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import Digest, LogFacts, Problem, Trace
from harness.record.models import Outcome
from tests.records import completed_phase

MIB = 2**20
OUT = int(60.4 * MIB)
WEIGHTS = {"tensors": 8, "bytes": 4 * MIB}


def trace(**fields: Any) -> Trace:
    base: dict[str, Any] = {
        "function": "train",
        "batch": 128,
        "meter": "allocations",
        "swap_out": 24,
        "swap_in": 25,
        "bytes_out": OUT,
        "bytes_in": OUT,
        "peak_accelerator": 50 * MIB,
        "line": 7,
    }
    return Trace(**{**base, **fields})


def weights(stage: str, **fields: Any) -> Digest:
    extent = {**WEIGHTS, **fields}
    return Digest(of="weights", stage=stage, sha256="0" * 64, line=5, **extent)


def facts(*traces: Trace, digests: tuple[Digest, ...] = ()) -> LogFacts:
    return LogFacts(markers=5, done=True, traces=list(traces), digests=list(digests))


def scenario(role: str = "train", **fields: Any) -> Scenario:
    base: dict[str, Any] = {
        "id": "one",
        "family": "keras_saveload",
        "description": "train, save, load, go on",
        "phase": (
            {"id": "save", "script": "save.py", "role": "train"},
            {"id": "load", "script": "load.py", "role": role},
        ),
    }
    return Scenario(**{**base, **fields})


def case(
    ours: Trace | None,
    theirs: Trace | None,
    *,
    declared: bool = True,
    restored: tuple[Digest, ...] = (weights("restored"),),
    saved: tuple[Digest, ...] = (weights("saved"),),
    plan: Scenario | None = None,
    reference: dict[str, Any] | None = None,
    samples: tuple[dict[str, Any], dict[str, Any]] | None = None,
    **fields: Any,
) -> Evidence:
    plan = plan or scenario()
    load = completed_phase("load", facts(*([ours] if ours else []), digests=restored))
    save = completed_phase(
        "save", facts(*([theirs] if theirs else []), digests=saved), **(reference or {})
    )
    if samples:
        load = load.model_copy(update={"samples": samples[0]})
        save = save.model_copy(update={"samples": samples[1]})
    base: dict[str, Any] = {
        "scenario": plan,
        "phases": tuple(zip(plan.phase, (save, load), strict=True)),
        "controls": {},
        "provider": "builtin",
        "accelerator": "virtual",
        "references": {"load": Reference("save", save, declared)},
    }
    return Evidence(**{**base, **fields})


def judged(evidence: Evidence) -> Check:
    return check(CheckId.SWAPPING_AS_BEFORE, swapping_as_before.findings(evidence))


def test_equal_steps_pass_and_say_so() -> None:
    found = judged(case(trace(), trace(), declared=False))
    assert found.status is Status.PASSED
    assert found.message == (
        "load: as in save: 24 swap-out (60.4 MiB), 25 swap-in (60.4 MiB), peak 50.0 MiB in a step"
    )
    assert found.numbers["swap_out"] == found.numbers["reference_swap_out"] == 24
    assert found.numbers["reference_peak_accelerator"] == 50 * MIB
    assert [line.split(": ")[0] for line in found.lines] == ["load:7", "save:7"]


def test_it_is_one_of_the_checks_of_a_case() -> None:
    checks = {entry.id: entry for entry in judge(case(trace(swap_out=23), trace()))}
    assert checks[CheckId.SWAPPING_AS_BEFORE].status is Status.FAILED


def test_the_message_says_what_is_lost() -> None:
    found = judged(case(trace(swap_out=12, bytes_out=OUT - 41 * MIB), trace()))
    assert found.status is Status.FAILED
    assert found.message == (
        "load: 41.0 MiB of 60.4 MiB a step are no longer swapped out (12 swap-out, 24 in the"
        " reference) (reference: save)"
    )


def test_a_loss_of_few_bytes_is_told_in_swaps() -> None:
    assert judged(case(trace(swap_out=23), trace())).message == (
        "load: 1 of 24 swap-out a step are no longer executed (reference: save)"
    )


def test_both_directions_and_the_peak_are_told() -> None:
    ours = trace(
        swap_out=12,
        swap_in=13,
        bytes_out=OUT - 41 * MIB,
        bytes_in=OUT + 2 * MIB,
        peak_accelerator=62 * MIB,
    )
    assert judged(case(ours, trace())).message == (
        "load: 41.0 MiB of 60.4 MiB a step are no longer swapped out (12 swap-out, 24 in the"
        " reference); 2.0 MiB more than 60.4 MiB a step are swapped in (13 swap-in, 25 in the"
        " reference); the peak rose by 12.0 MiB from 50.0 MiB to 62.0 MiB (meter allocations)"
        " (reference: save)"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"swap_out": 23}, Status.FAILED),
        ({"swap_out": 25}, Status.FAILED),
        ({"swap_in": 24}, Status.FAILED),
        ({"bytes_out": OUT - OUT // 101}, Status.PASSED),
        ({"bytes_out": OUT - OUT // 99}, Status.FAILED),
        ({"bytes_out": OUT + OUT // 101}, Status.PASSED),
        ({"bytes_in": OUT + OUT // 99}, Status.FAILED),
        ({"bytes_out": 0, "bytes_in": 0}, Status.FAILED),
        ({"bytes_out": None, "bytes_in": None}, Status.PASSED),  # jax knows counts at times alone
        ({"peak_accelerator": int(52.4 * MIB)}, Status.PASSED),
        ({"peak_accelerator": int(52.6 * MIB)}, Status.FAILED),
        ({"peak_accelerator": 20 * MIB}, Status.PASSED),  # less memory is no loss
        ({"peak_accelerator": None}, Status.PASSED),
        ({"swap_in": None}, Status.ERROR),
    ],
)
def test_bounds(fields: dict[str, Any], expected: Status) -> None:
    assert judged(case(trace(**fields), trace())).status is expected


@pytest.mark.parametrize(
    ("peak", "reference", "expected"),
    [
        (69 * MIB, 50 * MIB, Status.PASSED),  # within 20 MiB
        (71 * MIB, 50 * MIB, Status.FAILED),
        (1040 * MIB, 1000 * MIB, Status.PASSED),  # within 5 %
        (1060 * MIB, 1000 * MIB, Status.FAILED),
    ],
)
@pytest.mark.parametrize("meter", ["allocations", "NVML"])
def test_a_peak_on_a_gpu(meter: str, peak: int, reference: int, expected: Status) -> None:
    peaks = [(peak, 0), (reference, 0)] if meter == "allocations" else [(0, peak), (0, reference)]
    (ours, ours_nvml), (theirs, theirs_nvml) = peaks
    found = judged(
        case(
            trace(peak_accelerator=ours),
            trace(peak_accelerator=theirs),
            samples=({"process_peak": ours_nvml}, {"process_peak": theirs_nvml}),
            accelerator="gpu",
        )
    )
    assert found.status is expected
    assert (f"(meter {meter})" in found.message) is (expected is Status.FAILED)


@pytest.mark.parametrize(
    ("kib", "expected"), [(460, Status.PASSED), (1300, Status.PASSED), (1400, Status.FAILED)]
)
def test_the_peak_of_a_small_model_is_chance(kib: int, expected: Status) -> None:
    """TensorFlow runs what is ready in any order: single tensors are all of such a peak."""
    pair = [trace(peak_accelerator=size * 1024) for size in (kib, 300)]
    assert judged(case(*pair)).status is expected


@pytest.mark.parametrize(
    ("bound", "mode", "peak", "expected"),
    [
        (40, "function", 52, Status.PASSED),
        (40, "function", 53, Status.FAILED),  # the order is fixed: the peak is near its bound
        (39, "function", 67, Status.PASSED),
        (39, "session", 67, Status.PASSED),
        (39, "function", 68, Status.FAILED),
        (39, "eager", 53, Status.FAILED),  # the order is that of the code
        (None, "function", 53, Status.FAILED),
    ],
)
def test_a_peak_of_no_fixed_order_is_another_in_each_process(
    bound: int | None, mode: str, peak: int, expected: Status
) -> None:
    reference = trace(lower_bound=None if bound is None else bound * MIB)
    ours = trace(peak_accelerator=peak * MIB)
    assert judged(case(ours, reference, mode=mode)).status is expected


def test_on_the_virtual_accelerator_a_peak_of_nvml_is_nothing() -> None:
    samples = ({"process_peak": 900 * MIB}, {"process_peak": 100 * MIB})
    assert judged(case(trace(), trace(), samples=samples)).status is Status.PASSED


class TestNoReference:
    def test_a_scenario_without_one_is_skipped_with_the_reason(self) -> None:
        found = judged(case(trace(), trace(), references={}))
        assert found.status is Status.SKIPPED
        assert found.message == "load: the scenario has no reference in which nothing is loaded"

    @pytest.mark.parametrize(
        ("ours", "theirs", "digests", "reason"),
        [
            (trace(), None, {}, "it traced no train step"),
            (trace(), trace(function="predict"), {}, "it traced no train step"),
            (trace(batch=None), trace(), {}, "the traces do not tell the batch of their steps"),
            (trace(), trace(batch=None), {}, "the traces do not tell the batch of their steps"),
            (trace(batch=64), trace(), {}, "its step is of 128 examples, and not of 64"),
            (trace(), trace(), {"saved": ()}, "no digest of its weights"),
            (trace(), trace(), {"restored": ()}, "no digest of its weights"),
            (trace(), trace(), {"saved": (weights("saved", tensors=7),)}, "it saved another model"),
            (trace(), trace(), {"restored": (weights("restored", bytes=1),)}, "another model"),
        ],
    )
    def test_an_earlier_phase_that_is_none_is_skipped(
        self, ours: Trace, theirs: Trace | None, digests: dict[str, Any], reason: str
    ) -> None:
        found = judged(case(ours, theirs, declared=False, **digests))
        assert found.status is Status.SKIPPED
        assert found.message.startswith("load: save is no reference: ")
        assert reason in found.message

    def test_a_declared_one_is_taken_as_comparable(self) -> None:
        found = judged(case(trace(batch=64), trace(), saved=(), restored=()))
        assert found.status is Status.PASSED

    def test_lms_off(self) -> None:
        found = judged(case(trace(), trace(), provider="off"))
        assert (found.status, found.message) == (Status.SKIPPED, "the plan has LMS off")

    def test_nothing_to_swap(self) -> None:
        plan = scenario("predict")
        found = judged(case(trace(), None, plan=plan, unswapped={"predict": "torch keeps nothing"}))
        assert (found.status, found.message) == (Status.SKIPPED, "torch keeps nothing")


class TestNotJudged:
    def test_a_reference_that_broke(self) -> None:
        broken = {"outcome": Outcome.TIMED_OUT, "exit_code": None}
        found = judged(case(trace(), trace(), reference=broken))
        assert found.status is Status.ERROR
        assert found.message == "load: its reference, save, did not complete (timed out)"

    def test_a_reference_that_broke_says_of_what(self) -> None:
        text = "ValueError: the scope is lost"
        problem = Problem(kind="traceback", line=7, text=text)
        broken = {"outcome": Outcome.FAILED, "exit_code": 1, "facts": LogFacts(problems=[problem])}
        found = judged(case(trace(), trace(), reference=broken))
        assert found.status is Status.ERROR
        assert found.message == (
            f"load: its reference, save, did not complete (failed: exception at line 7: {text})"
        )

    def test_no_trace_of_a_declared_reference(self) -> None:
        found = judged(case(trace(), None))
        assert found.status is Status.ERROR
        assert found.message == "load: no trace of a train step of its reference save"

    def test_no_trace_of_the_phase(self) -> None:
        found = judged(case(None, trace()))
        assert found.status is Status.ERROR
        assert found.message == "load: no trace of a train step of load"

    @pytest.mark.parametrize("declared", [True, False])
    def test_a_phase_that_did_not_complete(self, declared: bool) -> None:
        evidence = case(None, trace(), declared=declared)
        save, (load, loaded) = evidence.phases
        loaded = loaded.model_copy(update={"outcome": Outcome.FAILED, "exit_code": 1})
        found = judged(Evidence(**{**vars(evidence), "phases": (save, (load, loaded))}))
        assert (found.status, found.message) == (Status.ERROR, "load did not complete")


class TestRoles:
    def test_a_prediction_is_compared_with_a_prediction(self) -> None:
        log = facts(trace(function="predict", swap_out=3), trace())
        evidence = case(trace(function="predict", swap_out=3), None, plan=scenario("predict"))
        save = completed_phase("save", log)
        evidence = Evidence(
            **{**vars(evidence), "references": {"load": Reference("save", save, True)}}
        )
        assert judged(evidence).message.startswith("load: as in save: 3 swap-out")

    def test_a_first_phase_has_nothing_to_load(self) -> None:
        phases = (
            {"id": "save", "script": "save.py", "role": "train", "judged": True},
            {"id": "load", "script": "load.py", "role": "train", "judged": True},
        )
        found = judged(case(trace(), trace(), plan=scenario(phase=phases)))
        assert found.status is Status.PASSED
        assert found.message.startswith("load: as in save")
        assert "save.swap_out" not in found.numbers
