"""The one screen, of records and proofs as the harness itself writes them, whole and half done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import summary
from harness.record.checks import Check, CheckId, Status
from harness.record.models import CaseRecord, Outcome, PhaseUse, RunRecord
from harness.run.proof import proof
from harness.run.proof.proof import Proof
from tests import records
from tests.run.proof.test_proof import made, measured, swapped, under

FLAVOR = "keras3-torch"
SAMPLES = {
    "n": 100,
    "memory_version": 2,
    "pcie_source": "counters",
    "pcie_bits": 64,
    "max_gap_s": 0.08,
    "cpu_s": 0.05,
    "process_peak": 1,
}


def screen(work: Path) -> str:
    return "\n".join(summary.lines(work))


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def write_proof(work: Path, made: Proof, folder: str = "reports") -> None:
    judged = made.model_copy(update={"findings": proof.findings(made)})
    write(work / folder / "proof-1" / "proof.json", judged.model_dump_json())


def test_nothing_yet(tmp_path):
    assert screen(tmp_path).splitlines() == [
        f"SANITY {name}: not run, or it ended before its first answer"
        for name in ("host", "torch", "jax")
    ]


def test_what_the_machine_gives(tmp_path):
    answers = {
        "memory call": {"ok": True, "answer": "version 2", "seconds": 0.5},
        "cgroup": {"ok": True, "answer": "not of interest", "seconds": 0.5},
        "PCIe counters 197, 198": {"ok": False, "answer": "return codes [3, 3]", "seconds": 1.0},
    }
    write(tmp_path / "sanity" / "host" / "answers.json", json.dumps(answers))
    assert screen(tmp_path).splitlines()[:3] == [
        "SANITY host: 2 of 3 as it has to be, 2 s",
        "  memory call: version 2",
        "  FAIL PCIe counters 197, 198: return codes [3, 3]",
    ]


def test_a_whole_proof(tmp_path):
    finished = swapped("swapped under the ceiling", ceiling=1350 * 2**20)
    control, low = measured(step_ms=10.0), swapped(step_ms=15.0, pinned_peak=2**30)
    write_proof(tmp_path, made(control, low, under(), finished, state="finished"))
    text = screen(tmp_path)
    assert "PROOF keras3-torch save-load on Test GPU: PASSED; goal 2,048 MiB" in text
    assert "swapped / control: NVML 0.40, framework 0.29, step time 1.50; ceiling 1,350" in text
    assert "largest gap between samples 60 ms" in text
    assert "control under the ceiling" in text
    assert text.count("out of memory") == 1
    assert "1,024      15.0  completed" in text  # page-locked memory, step time
    assert "passed: batch scale, peaks, " in text


def test_a_failed_proof_says_which_part(tmp_path):
    high = swapped(nvml_peak=2600 * 2**20)
    write_proof(tmp_path, made(measured(), high, state="finished"), "flags")
    text = screen(tmp_path)
    assert "PROOF keras3-torch save-load on Test GPU with other flags of XLA: FAILED" in text
    assert "  FAILED peaks: NVML peak 2,600.0 MiB, control 2,500.0 MiB" in text


def test_half_a_proof_shows_what_was_measured_and_what_its_last_phase_said(tmp_path):
    half = json.loads(made(measured()).model_dump_json())
    half |= {"state": "running", "findings": []}
    folder = tmp_path / "reports" / "proof-1"
    write(folder / "proof.json", json.dumps(half))
    write(folder / "phases" / "a.load.2" / "stdout.log", "Epoch 1\n\nEpoch 2\n")
    text = screen(tmp_path)
    assert "on Test GPU: ERROR, NOT FINISHED (running)" in text
    assert "  control                            4     2,500     2,100" in text
    assert "1 phases; the last, a.load.2: not done: Epoch 2" in text


def test_a_proof_that_left_no_file(tmp_path):
    write(tmp_path / "reports" / "proof-1" / "phases" / "a.save" / "stderr.log", "CUDA error\n")
    text = screen(tmp_path)
    assert "PROOF proof-1: NOT FINISHED, no proof.json" in text
    assert "the last, a.save: not done: CUDA error" in text


def case(scenario: str, *checks: Check, key: str = "a.load", **fields: Any) -> CaseRecord:
    uses = [PhaseUse(name="load", key=key, control="a.control")]
    return records.case(scenario, FLAVOR, phases=uses, checks=list(checks), **fields)


def run(*cases: CaseRecord, state: str = "finished", **phases: Outcome) -> RunRecord:
    outcomes = {"a.load": Outcome.COMPLETED, "a.control": Outcome.COMPLETED, **phases}
    return records.run().model_copy(
        update={
            "state": state,
            "cases": list(cases),
            "phases": [
                records.phase(key.replace("_", "."), FLAVOR, outcome=outcome, samples=SAMPLES)
                for key, outcome in outcomes.items()
            ],
        }
    )


def write_run(work: Path, record: RunRecord) -> None:
    write(work / "reports" / record.id / "record.json", record.model_dump_json())


def check(name: CheckId, status: Status = Status.PASSED, message: str = "") -> Check:
    return records.check(name, status, message)


def test_a_run_says_what_passed_and_why_others_did_not(tmp_path):
    failed = check(CheckId.SWAPPING_CONFIRMED, Status.FAILED, "refuted: the peak rose")
    silent = check(CheckId.RESULT_UNCHANGED, Status.ERROR, "not judged: a phase failed")
    equal = check(CheckId.RESUME_EQUAL, Status.FAILED, "weights differ by 1e-9")
    sound = case("sound", check(CheckId.SWAPPING_CONFIRMED), check(CheckId.RESUME_EQUAL))
    write_run(tmp_path, run(sound, case("bad", failed, silent), case("resumed", equal)))
    (tmp_path / "reports" / "latest").symlink_to(records.run().id)
    lines = screen(tmp_path).splitlines()
    assert any("2 phases, median 2.3 s" in line for line in lines)
    assert (
        "  NVML: memory version 2; counters 64 bits; memory by process in 2 of 2 phases;"
        " 200 samples, largest gap 80 ms, 500 us of processor each"
    ) in lines
    assert "  FAILED keras3-torch bad: swapping_confirmed: refuted: the peak rose" in lines
    assert not any("not judged" in line for line in lines)
    assert lines.count("  1 passed: sound") == 1
    found = [line for line in lines if line.startswith("  resumed = uninterrupted")]
    assert [line.partition(": ")[0] for line in found] == [
        "  resumed = uninterrupted, keras3-torch sound",
        "  resumed = uninterrupted, keras3-torch resumed",
    ]
    assert found[1].endswith("failed: weights differ by 1e-9")


def test_a_fault_says_whether_it_was_caught(tmp_path):
    behind = [check(CheckId.SWAPPING_AS_BEFORE, Status.FAILED, "18 of 72 MiB")]
    caught = case("lost-50-evenly", check(CheckId.CAUGHT), family="sensitivity", behind=behind)
    missed = check(CheckId.CAUGHT, Status.FAILED, "not caught: swapping as before passed")
    lost = case("lost-10-evenly", missed, family="sensitivity")
    write_run(tmp_path, run(caught, lost))
    text = screen(tmp_path)
    assert "fault, keras3-torch lost-50-evenly: passed: caught: " in text
    assert "(fail: swapping_as_before)" in text
    assert "fault, keras3-torch lost-10-evenly: failed: not caught: " in text
    assert "FAILED keras3-torch lost-10-evenly: caught: not caught" in text


def test_what_a_stopped_run_did_not_reach_is_no_failure(tmp_path):
    unjudged = check(CheckId.PHASES_COMPLETE, Status.ERROR, "load: interrupted")
    late = case("late", unjudged, key="b.load")
    record = run(case("early", check(CheckId.SWAPPING_CONFIRMED)), late, state="interrupted")
    stopped = records.phase("b.load", FLAVOR, outcome=Outcome.INTERRUPTED)
    write_run(tmp_path, record.model_copy(update={"phases": [*record.phases, stopped]}))
    text = screen(tmp_path)
    assert "interrupted, " in text
    assert "  1 passed: early" in text
    assert "  no time for 1: late" in text
    assert "ERROR" not in text


@pytest.mark.parametrize("content", ["", "{", "[1", "null"])
def test_files_that_are_cut_off(tmp_path, content):
    for name in ("reports/proof-1/proof.json", "reports/run/record.json"):
        write(tmp_path / name, content)
    write(tmp_path / "sanity" / "torch" / "answers.json", content)
    text = screen(tmp_path)
    assert "PROOF proof-1: NOT FINISHED" in text
    assert "RUN run: its record cannot be read" in text


def test_what_is_of_another_shape_costs_nothing_else(tmp_path):
    write(tmp_path / "reports" / "proof-0" / "proof.json", '{"findings": 1}')
    write(tmp_path / "reports" / "run" / "record.json", '{"phases": [1]}')
    write_run(tmp_path, run(case("sound", check(CheckId.SWAPPING_CONFIRMED))))
    text = screen(tmp_path)
    assert text.count("cannot be told") == 2
    assert "  1 passed: sound" in text


def test_the_steps_are_the_last_line(tmp_path):
    lines = [
        '{"name": "sanity", "word": "exit code 1", "seconds": 12.3}',
        '{"name": "a", "word": "not begun, no time is left", "seconds": 0.0}',
        '{"name": "b", "word": "not begun, no time is left", "seconds": 0.0}',
        '{"name": "prove-to',
    ]
    write(tmp_path / summary.STEPS, "\n".join(lines))
    last = "STEPS sanity 12 s (exit code 1); not begun, no time is left: a, b"
    assert screen(tmp_path).splitlines()[-1] == last
