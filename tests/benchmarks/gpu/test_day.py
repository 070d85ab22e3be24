"""The day with a GPU, rehearsed on the NVML test library: sound, failing, hanging and cut off."""

from __future__ import annotations

import json
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.gpu.steps import CANARIES, SAVELOAD, SCENARIO
from harness.run.proof.proof import Proof
from tests.benchmarks.gpu.rehearsal import Rehearsal
from tests.nvml import fixture
from tests.small_runs import wait_for

nvml_library = fixture.nvml_library
pytestmark = pytest.mark.slow
STEPS = ("install", "prove-torch", "prove-jax", "saveload-torch", "canary-jax")
FILES, FILE_BYTES = 8, 16 * 2**20


@pytest.fixture
def rehearsal(tmp_path: Path, nvml_library: Path) -> Iterator[Rehearsal]:
    made = Rehearsal(tmp_path, nvml_library)
    yield made
    made.end()


def whole(rehearsal: Rehearsal) -> set[str]:
    """Names in the archive, all of which can be read; what came back is within the limits."""
    files = list(rehearsal.out.iterdir())
    assert len(files) <= FILES
    assert all(path.stat().st_size < FILE_BYTES for path in files)
    with tarfile.open(rehearsal.out / "reports.tar.gz") as archive:
        return {entry.name for entry in archive if archive.extractfile(entry).read() is not None}  # type: ignore[union-attr]


def words(rehearsal: Rehearsal) -> dict[str, str]:
    """How each step ended."""
    lines = (rehearsal.work / "steps.jsonl").read_text().splitlines()
    return {entry["name"]: entry["word"] for entry in map(json.loads, lines)}


def test_a_sound_day(rehearsal):
    code, output = rehearsal.day(*STEPS, "sensitivity-torch")
    assert code == 0, output
    assert words(rehearsal) == dict.fromkeys((*STEPS, "sensitivity-torch"), "exit code 0")
    text = rehearsal.summary
    assert output.count(text) == 1
    for flavor in ("keras3-torch", "keras3-jax"):
        about = f"PROOF {flavor} {SCENARIO} on Played GPU: PASSED"
        assert about in text
        proof = Proof.model_validate_json((rehearsal.out / f"proof-{flavor}.json").read_bytes())
        assert proof.status.value == "passed"
    assert "swapped / control: NVML 0.33" in text
    assert "step time 1.50" in text
    assert f"  4 passed: {', '.join(SAVELOAD)}" in text
    assert f"  {len(CANARIES)} passed: " in text
    assert "resumed = uninterrupted, keras3-torch backup-restore_train: passed: " in text
    assert "fault, keras3-torch lost-50-evenly: passed" in text
    assert "NVML: memory version 2; counters 64 bits" in text
    watched = (rehearsal.work / "watch.csv").read_text().splitlines()
    used = [int(line.split(",")[1]) >> 20 for line in watched[1:]]
    assert min(used) == 100  # between phases
    assert max(used) > 300
    names = whole(rehearsal)
    assert {"steps.jsonl", "watch.csv", "logs/prove-jax.log"} <= names
    assert any(name.endswith("/record.json") for name in names)
    assert any(name.endswith("/samples.csv") for name in names)
    assert not any("/artifacts/" in name for name in names)


def test_a_step_that_fails_and_one_that_hangs_stop_none_after_them(rehearsal):
    named = (
        "--xla-flags=--xla_a=1",
        "sanity=8",
        "prove-jax=5",
        "prove-jax-flags=5",
        "saveload-torch",
    )
    # It is not installed yet: that comes first, unasked. No framework is here for sanity to find.
    code, output = rehearsal.day(*named, PYTHON_keras3_jax=rehearsal.hanging())
    assert code == 1, output
    ended = words(rehearsal)
    assert list(ended) == ["install", "sanity", "prove-jax", "prove-jax-flags", "saveload-torch"]
    assert (
        ended["sanity"]
        == ended["prove-jax"]
        == ended["prove-jax-flags"]
        == "stopped at its time box"
    )
    assert ended["saveload-torch"] == "exit code 0"
    text = rehearsal.summary
    assert "sampler at 20 Hz: " in text
    assert "FAIL torch starts as in a phase: ModuleNotFoundError: No module named 'torch'" in text
    assert "SANITY jax: not run, or it ended before its first answer" in text
    assert text.count("NOT FINISHED") == 2
    assert "  4 passed: trainsave_keras-loadtrain, " in text
    assert "logs/prove-jax.log" in whole(rehearsal)


def test_a_day_that_is_stopped_packs_what_it_has(rehearsal):
    process = rehearsal.start("install", "prove-torch", "saveload-torch")
    wait_for(lambda: list(rehearsal.work.glob("reports/proof-*/phases/*.load.1")), 60)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    ended = words(rehearsal)
    assert ended == {
        "install": "exit code 0",
        "prove-torch": "stopped",
        "saveload-torch": "not begun, stopped",
    }
    assert "NOT FINISHED" in rehearsal.summary
    assert any("/phases/" in name for name in whole(rehearsal))


def test_a_day_that_is_killed_leaves_what_was_packed_last(rehearsal):
    process = rehearsal.start("install", "saveload-torch", "prove-torch")
    wait_for(lambda: list(rehearsal.work.glob("reports/proof-*/phases/*.load.1")), 60)
    process.kill()
    process.communicate(timeout=60)
    text = rehearsal.summary
    # The steps have an order of their own: the run comes after the proof.
    assert text.splitlines()[-1].startswith("STEPS install ")
    assert "logs/install.log" in whole(rehearsal)
    assert not list(rehearsal.out.glob(".*"))


def test_it_ends_in_its_time_whatever_hangs(rehearsal):
    began = time.monotonic()
    hanging = rehearsal.hanging()
    code, output = rehearsal.day(
        "install", "prove-jax", "saveload-jax", GPU_DAY_S="32", PYTHON_keras3_jax=hanging
    )
    assert time.monotonic() - began < 60  # a loaded machine may take its time
    assert code == 1
    ended = words(rehearsal)
    assert ended["prove-jax"] == "stopped at its time box"
    assert ended["saveload-jax"] == "not begun, no time is left"
    assert "no time is left" in output


@pytest.mark.parametrize(
    ("words", "variables", "problem"),
    [
        (["prove-tf"], {}, "day: no step prove-tf: there are install, sanity, "),
        ([], {"OUT": ""}, "day: OUT, or --out, has to name the folder"),
        ([], {"GPU_DAY_S": "soon"}, "argument --seconds: invalid float value: 'soon'"),
    ],
)
def test_a_wrong_call_is_one_line(rehearsal, words, variables, problem):
    code, output = rehearsal.day(*words, **variables)
    assert code in (2, 4)
    assert problem in output
    assert "Traceback" not in output
