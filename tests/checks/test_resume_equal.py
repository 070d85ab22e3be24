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


def trained(*said: Digest | Metric, outcome: Outcome = Outcome.COMPLETED, **facts: Any) -> Any:
    """A phase that ended with these digests and metrics."""
    found = LogFacts(
        markers=5,
        done=True,
        digests=[entry for entry in said if isinstance(entry, Digest)],
        metrics=[entry for entry in said if isinstance(entry, Metric)],
        **facts,
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
    nothing = trained(loss(0.5, 2))
    found = judged(trained(*END), nothing)
    assert found.status is Status.ERROR
    assert "reports no digest" in found.message
