"""What of a run is compared with its repeats."""

from __future__ import annotations

import pytest

from harness.record.checks import CheckId, Status
from harness.record.facts import Digest, LogFacts, Metric, Trace
from harness.record.models import CaseRecord, PhaseRecord, RunRecord
from harness.run.soak.extract import extract
from tests import records


def run_of(
    numbers: dict[str, object] | None = None,
    facts: LogFacts | None = None,
    accelerator: str = "virtual",
    samples: dict[str, object] | None = None,
) -> RunRecord:
    """A run of one case with one check and one phase."""
    check = records.check(CheckId.SWAPPING_CONFIRMED, numbers=numbers or {})
    phase = PhaseRecord(
        key="f.x.s.load", flavor="f", family="x", script="s", role="train", provider="builtin",
        outcome="completed", directory="phases/k", facts=facts or LogFacts(), samples=samples,
        duration_s=1.5,
    )  # fmt: skip
    return RunRecord(
        id="r", state="finished", started="t", engine="venv", accelerator=accelerator,
        provider="builtin", phases=[phase],
        cases=[CaseRecord(flavor="f", family="x", scenario="s", checks=[check])],
    )  # fmt: skip


PLACE = "f.x.s: swapping confirmed"


def test_the_status_and_the_numbers_of_each_check_are_compared():
    found = extract(run_of({"peak_bytes": 5, "load.swap_out": None}))
    assert found.verdicts == {PLACE: "passed"}
    assert found.numbers == {f"{PLACE}: peak_bytes": 5, f"{PLACE}: load.swap_out": None}
    assert found.times == found.samples == frozenset()


def test_a_case_without_verdicts_and_what_is_behind_a_canary_are_compared():
    behind = records.check(CheckId.STATE_RESTORED, Status.FAILED, numbers={"tensors": 8})
    canary = CaseRecord(
        flavor="f", family="x", scenario="c", expects=CheckId.STATE_RESTORED,
        checks=[records.check(CheckId.CAUGHT)], behind=[behind],
    )  # fmt: skip
    bare = CaseRecord(flavor="f", family="x", scenario="bare")
    found = extract(run_of().model_copy(update={"cases": [canary, bare]}))
    assert found.verdicts["f.x.c: caught by the harness"] == "passed"
    assert found.verdicts["f.x.c: state restored"] == "failed"
    assert found.numbers == {"f.x.c: state restored: tensors": 8}
    assert found.verdicts["f.x.bare: phases complete"] == "error"


def test_times_are_not_compared():
    numbers = {"step_ms": 1.0, "load.control_step_ms": 2.0, "gap_s": 0.1, "seconds": 3.0, "n": 4}
    found = extract(run_of(dict(numbers)))
    assert found.numbers == {f"{PLACE}: n": 4}
    assert found.times == {"step_ms", "control_step_ms", "gap_s", "seconds"}


SAMPLED = {
    "samples": 40,
    "load.nvml_peak_bytes": 1,
    "control_nvml_peak_bytes": 2,
    "control_pcie_tx_bytes": 3,
    "host_peak_bytes": 4,
}


@pytest.mark.parametrize(
    ("accelerator", "samples"), [("gpu", None), ("virtual", {"n": 9, "gpu_samples": 9})]
)
def test_what_was_sampled_beside_a_gpu_is_not_compared(accelerator, samples):
    found = extract(run_of({**SAMPLED, "peak_host_bytes": 5}, None, accelerator, samples))
    assert found.numbers == {f"{PLACE}: peak_host_bytes": 5}
    assert found.samples == {name.rpartition(".")[2] for name in SAMPLED}


def test_without_a_gpu_every_name_is_a_number_like_any_other():
    found = extract(run_of(dict(SAMPLED), samples={"n": 9, "gpu_samples": 0}))
    assert len(found.numbers) == len(SAMPLED)
    assert found.samples == frozenset()


def test_the_facts_behind_the_numbers_are_compared():
    trace = Trace(
        function="train", meter="allocations", swap_out=2, bytes_out=3, peak_accelerator=4,
        step_ms=9.0, line=4,
    )  # fmt: skip
    facts = LogFacts(
        digests=[Digest(of="weights", stage="saved", sha256="a" * 64, line=1)],
        metrics=[
            Metric(name="loss", value=0.5, epoch=1, split="train", line=2),
            Metric(name="loss", value=0.25, epoch=1, split="train", line=3),
            Metric(name="wait_s", value=None, line=3),
        ],
        traces=[trace],
    )
    numbers = extract(run_of(None, facts)).numbers
    key = "f.x.s.load"
    assert numbers[f"{key}: weights saved: sha256"] == "a" * 64
    assert numbers[f"{key}: metric: train loss of epoch 1"] == 0.5
    assert numbers[f"{key}: metric: train loss of epoch 1 (2)"] == 0.25
    assert numbers[f"{key}: metric: wait_s"] is None
    place = f"{key}: trace of a train step"
    assert numbers[f"{place}: swap_out"] == 2
    assert numbers[f"{place}: bytes_out"] == 3
    assert numbers[f"{place}: peak_accelerator"] == 4
    assert not [name for name in numbers if "step_ms" in name]
