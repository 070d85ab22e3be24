"""Check 8: what a resumed training may differ by, and what it may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from harness.catalog.scenarios import Scenario
from harness.checks import resume_equal
from harness.checks.evidence import Evidence
from harness.checks.finding import check
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import Digest, LogFacts, Metric
from harness.record.models import Outcome, PhaseRecord
from tests.checks.values.test_tensors import sha, tensor
from tests.records import phase

SCENARIO = Scenario.model_validate(
    {
        "id": "save-load",
        "family": "basic",
        "description": "train, save, load, go on",
        "straight": {"script": "straight.py"},
        "phase": [
            {"id": "save", "script": "save.py", "role": "train"},
            {"id": "load", "script": "load.py", "role": "train"},
        ],
    }
)
NAMES = ("dense/kernel", "dense/bias")


def weights(values: Sequence[float], stage: str = "final", of: str = "weights") -> Digest:
    each = [tensor(name, value) for name, value in zip(NAMES, values, strict=False)]
    return Digest(of=of, stage=stage, sha256=sha(each), line=1, each=each)


def predictions(*values: float) -> Digest:
    return Digest(of="predictions", stage="final", sha256=sha(values), line=2, values=list(values))


def loss(value: float, epoch: int) -> Metric:
    return Metric(name="loss", value=value, epoch=epoch, split="train", line=3)


def of_test(value: float, epoch: int) -> Metric:
    return Metric(name="loss", value=value, epoch=epoch, split="test", line=4)


def trained(*said: Digest | Metric, outcome: Outcome = Outcome.COMPLETED, **facts: Any) -> Any:
    """A phase that ended with these digests and metrics."""
    found = LogFacts(
        **{
            "markers": 5,
            "done": True,
            "digests": [entry for entry in said if isinstance(entry, Digest)],
            "metrics": [entry for entry in said if isinstance(entry, Metric)],
            **facts,
        }
    )
    return phase("x", outcome=outcome, facts=found)


SAVE = trained(weights([1.0, 1.0], "saved"), loss(0.9, 1))
END = (weights([2.0, 3.0]), predictions(0.25, 0.75), loss(0.5, 2))
STRAIGHT = trained(*END, loss(0.9, 1))


def judged(
    load: PhaseRecord,
    straight: PhaseRecord = STRAIGHT,
    again: PhaseRecord | None = None,
    *,
    save: PhaseRecord = SAVE,
    scenario: Scenario = SCENARIO,
    accelerator: str = "virtual",
) -> Check:
    evidence = Evidence(
        scenario=scenario,
        phases=tuple(zip(scenario.phase, (save, load), strict=True)),
        controls={},
        provider="builtin",
        accelerator=accelerator,
        straights=(straight, straight if again is None else again),
    )
    return check(CheckId.RESUME_EQUAL, resume_equal.findings(evidence))


def test_a_resumed_training_that_ends_with_the_same_bits_passes():
    found = judged(trained(*END))
    assert found.status is Status.PASSED
    assert found.message == (
        "weights bit-equal; predictions bit-equal; 1 metric of later epochs equal"
    )


def test_a_tensor_that_differs_is_told_with_its_difference():
    found = judged(trained(weights([2.0, 3.5]), *END[1:]))
    assert found.status is Status.FAILED
    assert found.message.startswith(
        "weights are not those of the uninterrupted training: 1 of 2 tensors, first dense/bias"
        " (2 x 3) by about 0.5; predictions bit-equal"
    )
    assert found.numbers["weights_difference"] == pytest.approx(0.5)


@pytest.mark.parametrize("of", ["optimizer", "random"])
def test_state_that_changes_no_weight_yet_counts_too(of):
    straight = trained(*END, weights([1.0, 2.0], of=of))
    found = judged(trained(*END, weights([1.0, 0.0], of=of)), straight)
    assert found.status is Status.FAILED
    assert resume_equal.COMPARED[of] in found.message
    missing = judged(trained(*END), straight)
    assert missing.status is Status.ERROR
    assert f"{of}: load reports no digest at its end" in missing.message


def test_predictions_and_metrics_are_compared_to_the_last_bit():
    found = judged(trained(weights([2.0, 3.0]), predictions(0.25, 0.7500001), loss(0.5, 2)))
    assert found.status is Status.FAILED
    assert "largest difference 1e-07" in found.message
    found = judged(trained(*END[:2], loss(0.5000001, 2)))
    assert found.status is Status.FAILED
    assert "first loss of epoch 2: 0.5000001, uninterrupted 0.5" in found.message


def test_an_epoch_that_is_trained_again_or_not_at_all_is_a_failure():
    again = judged(trained(*END[:2], loss(0.9, 1), loss(0.5, 2)))
    assert again.status is Status.FAILED
    assert "epoch 1 is trained again after the load" in again.message
    none = judged(trained(*END[:2]))
    assert none.status is Status.FAILED
    assert "load reports no loss of epoch 2" in none.message


def test_an_epoch_counts_whatever_metrics_tell_of_it():
    """The phase that saved reports the loss alone; the others report an accuracy too."""
    accuracy = Metric(name="accuracy", value=0.5, epoch=2, split="train", line=3)
    first = accuracy.model_copy(update={"epoch": 1})
    straight = trained(*END, loss(0.9, 1), first, accuracy)
    assert judged(trained(*END, accuracy), straight).status is Status.PASSED
    again = judged(trained(*END, accuracy, first), straight)
    assert again.status is Status.FAILED
    assert "epoch 1 is trained again after the load" in again.message


def test_an_epoch_that_the_uninterrupted_training_does_not_have_is_no_pass():
    more = judged(trained(*END, loss(0.4, 3)))
    assert more.status is Status.ERROR
    assert "the uninterrupted training reports no loss of epoch 3" in more.message
    fewer = judged(trained(*END), trained(*END[:2], loss(0.9, 1)))
    assert fewer.status is Status.ERROR
    assert "the uninterrupted training reports no loss of epoch 2" in fewer.message


def test_epochs_that_no_phase_before_tells_are_those_before_the_first():
    silent = trained(weights([1.0, 1.0], "saved"))
    assert judged(trained(*END), save=silent).status is Status.PASSED
    none = judged(trained(*END[:2]), save=silent)
    assert none.status is Status.ERROR
    assert "load and what it resumes report no metric of an epoch" in none.message


def test_metrics_of_test_data_are_compared_where_both_tell_them():
    straight = trained(*END, loss(0.9, 1), of_test(0.7, 2))
    same = judged(trained(*END, of_test(0.7, 2), of_test(0.8, 1)), straight)
    assert same.status is Status.PASSED
    assert same.message.endswith("; 1 test metric of an epoch equal")
    other = judged(trained(*END, of_test(0.71, 2)), straight)
    assert other.status is Status.FAILED
    assert "first loss of epoch 2: 0.71, uninterrupted 0.7" in other.message
    assert judged(trained(*END), straight).status is Status.PASSED


def test_what_only_the_resumed_training_tells_is_no_pass():
    found = judged(trained(*END, weights([1.0], of="optimizer")))
    assert found.status is Status.ERROR
    assert "optimizer: the uninterrupted training reports no digest at its end" in found.message


def test_as_many_predictions_are_not_the_same_as_some_of_them():
    found = judged(trained(END[0], predictions(0.25), END[2]))
    assert found.status is Status.FAILED
    assert "1 number, uninterrupted 2" in found.message
    found = judged(trained(END[0], predictions(0.25), END[2]), STRAIGHT, CLOSE)
    assert found.status is Status.FAILED
    assert "1 number, uninterrupted 2" in found.message
    twin = trained(END[0], predictions(0.25), END[2])
    resumed = trained(END[0], predictions(0.25, 0.9), END[2])
    found = judged(resumed, STRAIGHT, twin)
    assert found.status is Status.ERROR
    assert "predictions: two uninterrupted trainings cannot be compared" in found.message


def test_names_cannot_look_like_other_findings():
    name = "x; weights bit-equal"
    each = [[tensor(name, 1.0)], [tensor(name, 2.0)]]
    mine, other = (
        Digest(of="optimizer", stage="final", sha256=sha(entry), line=1, each=entry)
        for entry in each
    )
    found = judged(trained(*END, mine), trained(*END, loss(0.9, 1), other))
    assert found.status is Status.FAILED
    assert "first x, weights bit-equal (2 x 3) by about 1;" in found.message


# --- trainings that do not repeat themselves ----------------------------------------------------

CLOSE = trained(weights([2.001, 3.001]), predictions(0.25, 0.75001), loss(0.5001, 2))


def test_what_two_uninterrupted_trainings_differ_by_is_allowed_and_said():
    resumed = trained(weights([2.002, 3.002]), predictions(0.25, 0.75003), loss(0.5002, 2))
    found = judged(resumed, STRAIGHT, CLOSE, save=trained(weights([90.0, 90.0], "saved")))
    assert found.status is Status.PASSED
    assert "weights within the spread of two uninterrupted trainings (0.00141)" in found.message
    assert found.numbers["weights_spread"] == pytest.approx(0.00141, rel=0.01)


def test_more_than_that_is_a_failure():
    resumed = trained(weights([2.001, 3.1]), *CLOSE.facts.digests[1:], *CLOSE.facts.metrics)
    found = judged(resumed, STRAIGHT, CLOSE, save=trained(weights([90.0, 90.0], "saved")))
    assert found.status is Status.FAILED
    assert "more than 8 times what two of these differ by (0.00141)" in found.message
    assert "1 of 2 tensors, first dense/bias (2 x 3) by about 0.1" in found.message


def test_a_spread_in_which_lost_state_would_not_show_is_inconclusive():
    resumed = trained(weights([2.002, 3.002]), *CLOSE.facts.digests[1:], *CLOSE.facts.metrics)
    saved = trained(weights([2.0, 3.05], "saved"), loss(0.9, 1))
    found = judged(resumed, STRAIGHT, CLOSE, save=saved)
    assert found.status is Status.ERROR
    assert found.message.startswith("inconclusive: two uninterrupted trainings end with weights")
    assert "more than 1% of what the resumed epochs change (0.05)" in found.message


def test_a_metric_that_two_trainings_share_by_chance_is_no_yardstick():
    """Of 1000 images one more is taken for what it is; the weights are as close as they have to."""
    saved = trained(weights([90.0, 90.0], "saved"), loss(0.9, 1))
    ends = ((2.0, 3.0), (2.001, 3.001), (2.002, 3.002))
    accuracy = Metric(name="accuracy", value=0.5, epoch=2, split="train", line=3)
    straight, again, resumed = (trained(weights(end), accuracy) for end in ends)
    other = accuracy.model_copy(update={"value": 0.501})
    close = judged(trained(weights(ends[2]), other), straight, again, save=saved)
    assert close.status is Status.PASSED
    far = accuracy.model_copy(update={"value": 0.6})
    assert (
        judged(trained(weights(ends[2]), far), straight, again, save=saved).status is Status.FAILED
    )
    assert (
        judged(trained(weights(ends[0]), other), straight, straight, save=saved).status
        is Status.FAILED
    )
    assert judged(resumed, straight, again, save=saved).status is Status.PASSED


def test_the_end_of_the_second_uninterrupted_training_is_as_good():
    assert judged(CLOSE, STRAIGHT, CLOSE).status is Status.PASSED


@pytest.mark.parametrize("each", [None, [], [tensor("a", 1.0)], [tensor("a", None)]])
def test_a_spread_that_is_not_told_allows_nothing(each):
    """Digests that differ, of tensors that do not, or that tell nothing of how they differ."""
    runs = [
        Digest(of="weights", stage="final", sha256=sha(number), line=1, each=each)
        for number in range(3)
    ]
    resumed, straight, again = (trained(entry, *END[1:], loss(0.9, 1)) for entry in runs)
    resumed = trained(runs[0], *END[1:])
    found = judged(resumed, straight, again)
    assert found.status is Status.ERROR
    assert "by how much is not known" in found.message


@pytest.mark.parametrize("said", [(), (weights([float("nan")] * 2, "saved"),)])
def test_without_what_the_epochs_change_a_spread_is_inconclusive(said):
    resumed = trained(weights([2.002, 3.002]), *CLOSE.facts.digests[1:], *CLOSE.facts.metrics)
    found = judged(resumed, STRAIGHT, CLOSE, save=trained(*said, loss(0.9, 1)))
    assert found.status is Status.ERROR
    assert "what the resumed epochs change is not known" in found.message


def test_a_spread_without_end_is_no_yardstick():
    huge = [weights([value, value]) for value in (1.7e308, 0.0)]
    straight, again = (trained(entry, *END[1:], loss(0.9, 1)) for entry in huge)
    saved = trained(weights([-1e308, 0.0], "saved"), loss(0.9, 1))
    found = judged(trained(*END), straight, again, save=saved)
    assert found.status is Status.ERROR
    straight, again = (
        trained(END[0], predictions(value, 0.5), END[2], loss(0.9, 1)) for value in (1e308, -1e308)
    )
    found = judged(trained(*END), straight, again)
    assert found.status is Status.ERROR
    assert "predictions: two uninterrupted trainings cannot be compared" in found.message


def test_what_may_be_lost_state_is_no_pass_within_the_spread():
    """The two differ by 0.9 % of what the resumed epochs change, the resumed one by 5 %."""
    saved = trained(weights([1.0, 3.0], "saved"), loss(0.9, 1))
    again = trained(weights([2.009, 3.0]), *END[1:])
    found = judged(trained(weights([2.05, 3.0]), *END[1:]), STRAIGHT, again, save=saved)
    assert found.status is Status.ERROR
    assert "by more than 2% of what the resumed epochs change (1): state may be lost" in (
        found.message
    )
    near = judged(trained(weights([2.015, 3.0]), *END[1:]), STRAIGHT, again, save=saved)
    assert near.status is Status.PASSED


def test_many_tensors_that_differ_by_little_each_are_too_much_together():
    def many(value: float, stage: str = "final") -> Digest:
        each = [tensor(f"t{number}", value) for number in range(400)]
        return Digest(of="weights", stage=stage, sha256=sha(each), line=1, each=each)

    straight, again = (trained(many(value), *END[1:], loss(0.9, 1)) for value in (2.0, 2.001))
    saved = trained(many(90.0, "saved"), loss(0.9, 1))
    assert judged(trained(many(2.007), *END[1:]), straight, again, save=saved).message.startswith(
        "weights within the spread of two uninterrupted trainings (0.02)"
    )
    found = judged(trained(many(2.01), *END[1:]), straight, again, save=saved)
    assert found.status is Status.FAILED
    assert "400 of 400 tensors, first t0 (2 x 3) by about 0.01, then t1" in found.message


def test_tensors_of_one_name_have_a_spread_each():
    def named(*values: float) -> Digest:
        each = [tensor("same", value) for value in values]
        return Digest(of="weights", stage="final", sha256=sha(each), line=1, each=each)

    straight, again = (
        trained(named(*values), *END[1:], loss(0.9, 1)) for values in ((2.0, 3.0), (2.001, 3.5))
    )
    saved = trained(weights([900.0, 900.0], "saved"), loss(0.9, 1))
    found = judged(trained(named(4.0, 3.0), *END[1:]), straight, again, save=saved)
    assert found.status is Status.FAILED
    assert "1 of 2 tensors, first same (2 x 3) by about 2" in found.message


# --- what cannot be judged ------------------------------------------------------------------------


def test_a_scenario_without_an_uninterrupted_training_is_skipped():
    without = SCENARIO.model_copy(update={"straight": None})
    found = judged(trained(*END), scenario=without)
    assert found.status is Status.SKIPPED


def test_without_markers_there_is_nothing_to_compare():
    silent = phase("x")
    assert judged(silent).status is Status.SKIPPED
    assert judged(trained(*END), silent).status is Status.SKIPPED


def test_what_did_not_complete_is_an_error():
    failed = trained(*END, outcome=Outcome.FAILED)
    found = judged(failed)
    assert (found.status, found.message) == (Status.ERROR, "load did not complete")
    for straights in ((failed, STRAIGHT), (STRAIGHT, failed)):
        found = judged(trained(*END), *straights)
        assert found.status is Status.ERROR
        assert found.message == "the uninterrupted training did not complete (failed)"
    half = trained(*END, done=False)
    found = judged(trained(*END), STRAIGHT, half)
    assert found.status is Status.ERROR
    assert found.message == "the uninterrupted training never said `done`: it stopped half way"
    nothing = trained(loss(0.5, 2))
    found = judged(trained(*END), nothing)
    assert found.status is Status.ERROR
    assert "reports no digest" in found.message
