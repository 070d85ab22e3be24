from __future__ import annotations

from typing import Any

import pytest

from harness.record.checks import Status
from harness.record.facts import LogFacts, Problem, Trace
from harness.record.models import Outcome
from harness.run.proof import proof
from harness.run.proof.proof import Measurement, Proof
from tests.records import completed_phase

MIB = 2**20


def measured(name: str = "control", **fields: Any) -> Measurement:
    base: dict[str, Any] = {
        "name": name,
        "batch_scale": 4,
        "outcome": Outcome.COMPLETED,
        "out_of_memory": False,
        "nvml_peak": 2500 * MIB,
        "framework_peak": 2100 * MIB,
        "pcie_tx": 10 * MIB,
        "pcie_rx": 10 * MIB,
        "samples": 100,
        "largest_gap_s": 0.06,
    }
    return Measurement(**{**base, **fields})


def swapped(name: str = "swapped", **fields: Any) -> Measurement:
    less: dict[str, Any] = {
        "nvml_peak": 1000 * MIB,
        "framework_peak": 600 * MIB,
        "bytes_out": 1500 * MIB,
        "bytes_in": 1500 * MIB,
        "offloaded_peak": 1450 * MIB,
        "pcie_tx": 3000 * MIB,
    }
    return measured(name, **{**less, **fields})


def made(*measurements: Measurement, **fields: Any) -> Proof:
    base: dict[str, Any] = {
        "flavor": "keras3-torch",
        "scenario": "save-load",
        "phase": "load",
        "gpu": {"name": "Test GPU"},
        "state": "finished",
        "goal": 2048 * MIB,
        "measurements": list(measurements),
        "ceiling": 1350 * MIB,
        "nvml_ceiling": 1750 * MIB,
    }
    return Proof(**{**base, **fields})


def under(**fields: Any) -> Measurement:
    failed = {"outcome": Outcome.FAILED, "out_of_memory": True, "ceiling": 1350 * MIB}
    return measured("control under the ceiling", **{**failed, **fields})


def finished(**fields: Any) -> Measurement:
    return swapped("swapped under the ceiling", **{"ceiling": 1350 * MIB, **fields})


def statuses(case: Proof) -> dict[str, Status]:
    return {finding.name: finding.status for finding in proof.findings(case)}


def test_everything_that_has_to_be_seen():
    case = made(measured(), swapped(), under(), finished())
    assert set(statuses(case).values()) == {Status.PASSED}
    text = "\n".join(proof.lines(case.model_copy(update={"findings": proof.findings(case)})))
    assert "saved 1,500.0 MiB" in text
    assert "ratio 0.29" in text
    assert "100 samples, largest gap 0.06 s" in text


@pytest.mark.parametrize(
    ("measurements", "name", "status"),
    [
        ((measured(framework_peak=900 * MIB), swapped()), "batch scale", Status.ERROR),
        ((measured(), swapped(nvml_peak=2500 * MIB)), "peaks", Status.FAILED),
        ((measured(), swapped(nvml_peak=None)), "peaks", Status.ERROR),
        (
            (measured(), swapped(offloaded_peak=300 * MIB)),
            "saved as much as was moved",
            Status.ERROR,
        ),
        (
            (measured(), swapped(offloaded_peak=MIB)),
            "saved as much as was moved",
            Status.ERROR,
        ),
        # LMS reports what the bus never saw.
        ((measured(), swapped(pcie_tx=12 * MIB)), "bytes over the bus", Status.FAILED),
        ((measured(pcie_tx=None), swapped()), "bytes over the bus", Status.SKIPPED),
        (
            (measured(), swapped(), under(outcome=Outcome.COMPLETED, out_of_memory=False)),
            "the control fails under the ceiling",
            Status.ERROR,
        ),
        (
            (measured(), swapped(), under(), finished(outcome=Outcome.FAILED)),
            "the swapped phase finishes under the ceiling",
            Status.FAILED,
        ),
        (
            (measured(), swapped(), under(), finished(nvml_peak=1900 * MIB)),
            "the swapped phase finishes under the ceiling",
            Status.FAILED,
        ),
        (
            (measured(), swapped(), under(), finished(nvml_peak=None)),
            "the swapped phase finishes under the ceiling",
            Status.ERROR,
        ),
    ],
)
def test_what_is_missing_or_wrong(measurements, name, status):
    assert statuses(made(*measurements))[name] is status


def test_no_measurement_proves_nothing():
    assert made().status is Status.ERROR
    assert statuses(made()) == {"peaks": Status.ERROR}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"framework_peak": 500 * MIB, "batch_scale": 1}, 5),
        ({"framework_peak": 2047 * MIB, "batch_scale": 4}, 5),
        ({"framework_peak": 2048 * MIB}, None),
        ({"framework_peak": None}, None),
        ({"framework_peak": MIB, "batch_scale": 1}, 64),
        ({"framework_peak": MIB, "batch_scale": 64}, None),
        ({"framework_peak": MIB, "batch_scale": 1, "out_of_memory": True}, None),
    ],
)
def test_next_pressure(fields, expected):
    assert proof.next_batch_scale(measured(**fields), 2048 * MIB, 64) == expected


def test_a_ceiling_is_half_way():
    assert proof.ceilings(measured(), swapped()) == (1350 * MIB, 1750 * MIB)
    assert proof.ceilings(measured(), swapped(framework_peak=2100 * MIB)) is None
    assert proof.ceilings(measured(framework_peak=None), swapped()) is None


@pytest.mark.parametrize("state", ["running", "interrupted", "aborted", "crashed"])
def test_what_is_not_finished_never_passes(state):
    case = made(measured(), swapped(), under(), finished(), state=state, reason="who knows")
    case = case.model_copy(update={"findings": proof.findings(case)})
    others = [finding for finding in case.findings if finding.name != "finished"]
    assert {finding.status for finding in others} == {Status.PASSED}  # what is there is judged
    assert case.status is Status.ERROR
    assert f"finished: {state}: who knows" in "\n".join(proof.lines(case))
    # Whoever takes the finding out of the file proves nothing by it.
    assert case.model_copy(update={"findings": others}).status is Status.ERROR
    assert Proof(**{**case.model_dump(), "findings": [], "state": "running"}).status is Status.ERROR


def test_an_unfinished_proof_that_was_refuted_stays_refuted():
    case = made(measured(), swapped(nvml_peak=2500 * MIB), state="interrupted")
    case = case.model_copy(update={"findings": proof.findings(case)})
    assert case.status is Status.FAILED
    assert statuses(case)["the control fails under the ceiling"] is Status.ERROR


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.FAILED, Status.FAILED),
        (Outcome.TIMED_OUT, Status.FAILED),
        (Outcome.INTERRUPTED, Status.ERROR),
        (Outcome.ENGINE_ERROR, Status.ERROR),
        (Outcome.KILLED, Status.ERROR),
        (Outcome.OUT_OF_MEMORY, Status.ERROR),  # of the host
    ],
)
@pytest.mark.parametrize("effect", ["moves", "pages"])
def test_only_what_the_phase_itself_did_refutes(outcome, status, effect):
    case = made(measured(), swapped(), under(), finished(outcome=outcome), effect=effect)
    assert statuses(case)["the swapped phase finishes under the ceiling"] is status


def test_what_was_not_run_is_not_said_to_have_no_room():
    (finding,) = [
        finding
        for finding in proof.findings(made(measured(), swapped()))
        if finding.name == "the control fails under the ceiling"
    ]
    assert (finding.status, finding.message) == (Status.ERROR, "it was not run")


OUT = "XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes."


@pytest.mark.parametrize(
    ("outcome", "text", "out"),
    [
        (Outcome.FAILED, OUT, True),
        (Outcome.FAILED, "torch.OutOfMemoryError: CUDA out of memory.", True),
        # The host's, which no ceiling on the GPU is about.
        (Outcome.FAILED, "MemoryError", False),
        (Outcome.FAILED, "OOM when allocating tensor on device:CPU:0 by allocator cpu", False),
        # A line of it is not the end of it.
        (Outcome.COMPLETED, OUT, False),
        (Outcome.INTERRUPTED, OUT, False),
    ],
)
def test_a_control_runs_out_of_the_gpu_s_memory(outcome, text, out):
    facts = LogFacts(problems=[Problem(kind="out_of_memory", line=1, text=text)])
    record = completed_phase("load", facts, outcome=outcome)
    control = proof.measurement("control under the ceiling", record, 4, 1350 * MIB)
    assert control.out_of_memory is out
    found = statuses(made(measured(), swapped(), control, finished()))
    status = Status.PASSED if out else Status.ERROR
    assert found["the control fails under the ceiling"] is status


def test_what_the_allocator_says_is_beside_the_programs_own_peak():
    facts = LogFacts(
        traces=[
            Trace(
                function="train",
                meter="compiled program",
                line=1,
                peak_accelerator=1838 * MIB,
                allocator_peak=1900 * MIB,
                allocator_pool=2047 * MIB,
            )
        ]
    )
    record = completed_phase("load", facts)
    found = proof.measurement("swapped", record, 24)
    assert (found.allocator_peak, found.allocator_pool) == (1900 * MIB, 2047 * MIB)
    told = "\n".join(proof.lines(made(measured(), found)))
    assert "framework 1,838.0 MiB, its allocator 1,900.0 MiB in 2,047.0 MiB; self" in told
    assert told.count("its allocator") == 1  # the control's says nothing
