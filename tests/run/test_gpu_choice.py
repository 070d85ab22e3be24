"""The choice of a GPU, with what NVML says played through the real `pynvml`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.run import gpu_choice
from harness.run.gpu_choice import Choice, choose_gpus
from tests import fake_nvml
from tests.fake_nvml import Gpu, Scenario
from tests.nvml import fixture
from tests.paths import ROOT

nvml_library = fixture.nvml_library
A, B, C = (f"GPU-{letter * 8}-1111-2222-3333-444444444444" for letter in "abc")
SLICE = "MIG-cccc3333-0000-0000-0000-000000000000"
SPLIT = Gpu(A, mig=True, slices=[Gpu(SLICE)])
NO_PERMISSION, LOST = 4, 15

# Prints [chosen UUID, why none, skipped], or the one line of the error.
CODE = """
import json, sys
from harness.base.error import UsageError
from harness.run.gpu_choice import choose_gpus
try:
    found = choose_gpus(sys.argv[1], json.loads(sys.argv[2]))
    uuids = ",".join(gpu.uuid for gpu in found.gpus) or None
    print(json.dumps([uuids, found.missing, found.skipped]))
except UsageError as problem:
    print(json.dumps(str(problem)))
"""


def choice(
    tmp_path: Path, library: Path, scenario: Scenario, variables: str, selector: str = "auto"
) -> Any:
    path = scenario.write(tmp_path / "scenario")
    return fake_nvml.run(CODE, library, path, selector, variables)


def test_none_looks_for_none(monkeypatch):
    monkeypatch.setattr(gpu_choice, "Nvml", lambda: pytest.fail("NVML was asked"))
    assert choose_gpus("none", {}) == Choice()
    for value in ("", "-1", "-1,0", "NoDevFiles"):
        hidden = choose_gpus("auto", {"CUDA_VISIBLE_DEVICES": value})
        assert hidden == Choice(missing=f"CUDA_VISIBLE_DEVICES={value} hides every GPU")


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (Scenario(init=18), "of different versions"),
        (Scenario(init=999), "NVML error 999"),
        (Scenario(init=9), "is not loaded"),
        (Scenario(init=4), "no permission"),
        (Scenario(init=15), "is lost"),
        (Scenario([Gpu(A, unusable=LOST)]), "is lost"),
        (Scenario([Gpu(A, unusable=NO_PERMISSION)]), "no permission"),
        (Scenario([SPLIT]), f"choose one of {SLICE}"),
    ],
)
def test_a_driver_or_gpu_that_is_broken_is_no_reason_to_fall_back(
    tmp_path, nvml_library, scenario, words
):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "run", "--engine=venv"),
            f"--reports={tmp_path / 'reports'}",
        ],
        cwd=ROOT,
        env=fake_nvml.environment(nvml_library, scenario.write(tmp_path / "scenario")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("harness: --gpu auto: ")
    assert words in line
    assert "GPU=none" in line
    assert not (tmp_path / "reports").exists()


def test_no_gpu_and_no_driver_fall_back_with_the_reason(tmp_path, nvml_library):
    assert choice(tmp_path, nvml_library, Scenario(), "{}") == [None, "NVML sees no GPU", []]
    missing = choice(tmp_path, nvml_library, Scenario(init=12), "{}")
    assert missing[0] is None
    assert "no NVIDIA driver" in missing[1]


def test_a_gpu_split_by_mig_is_skipped_with_its_reason(tmp_path, nvml_library):
    uuid, _, notes = choice(tmp_path, nvml_library, Scenario([SPLIT, Gpu(B)]), "{}")
    assert uuid == B
    (note,) = notes
    assert note.startswith("skipped: GPU 0 is split by MIG")
    assert SLICE in note


def test_where_all_are_split_the_slices_of_each_are_named(tmp_path, nvml_library):
    other = "MIG-dddd3333-0000-0000-0000-000000000000"
    scenario = Scenario([SPLIT, Gpu(B, mig=True, slices=[Gpu(other)])])
    line = choice(tmp_path, nvml_library, scenario, "{}")
    assert SLICE in line
    assert other in line


def test_a_lost_gpu_beside_a_good_one_is_a_note(tmp_path, nvml_library):
    scenario = Scenario([Gpu(A, unusable=LOST), Gpu(B)])
    uuid, _, (note,) = choice(tmp_path, nvml_library, scenario, "{}")
    assert uuid == B
    assert note.startswith("skipped: GPU 0 is lost")


THREE = Scenario([Gpu(A), Gpu(B), Gpu(C)])
ONE = Scenario([Gpu(A)])
OF_A_JOB = Scenario([Gpu(A, unusable=NO_PERMISSION), Gpu(B), Gpu(C)])


@pytest.mark.parametrize(
    ("scenario", "variables", "uuid"),
    [
        (THREE, {}, A),
        (THREE, {"CUDA_VISIBLE_DEVICES": B}, B),
        (THREE, {"CUDA_VISIBLE_DEVICES": f"{C[:8]}, {A}"}, C),
        (Scenario([SPLIT, Gpu(B)]), {"CUDA_VISIBLE_DEVICES": SLICE}, SLICE),
        (Scenario([SPLIT, Gpu(B)]), {"CUDA_VISIBLE_DEVICES": f"{A},{B}"}, B),
        (THREE, {"CUDA_VISIBLE_DEVICES": "1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, B),
        (OF_A_JOB, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, C),
        (ONE, {"CUDA_VISIBLE_DEVICES": "0"}, A),
        (ONE, {"CUDA_VISIBLE_DEVICES": "0,7"}, A),
        (THREE, {"SLURM_JOB_GPUS": "2,1"}, C),
        (THREE, {"SLURM_JOB_GPUS": "1-2"}, B),
        (THREE, {"SLURM_JOB_GPUS": "0,1", "SLURM_STEP_GPUS": "1"}, B),
        # A job's own numbers in CUDA's variable, those of the machine in Slurm's.
        (THREE, {"SLURM_JOB_GPUS": "2", "CUDA_VISIBLE_DEVICES": "0"}, C),
        (OF_A_JOB, {"SLURM_JOB_GPUS": "1,2", "CUDA_VISIBLE_DEVICES": "0,1"}, B),
        (ONE, {"SLURM_JOB_GPUS": "5", "CUDA_VISIBLE_DEVICES": "0"}, A),
        (ONE, {"GPU_DEVICE_ORDINAL": "0"}, A),
        (THREE, {"GPU_DEVICE_ORDINAL": "2", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, C),
        (THREE, {"SLURM_JOB_GPUS": ""}, A),
    ],
)
def test_variables_say_which_gpu(tmp_path, nvml_library, scenario, variables, uuid):
    found = choice(tmp_path, nvml_library, scenario, json.dumps(variables))
    assert found[0] == uuid, found


@pytest.mark.parametrize(
    ("scenario", "variables", "words"),
    [
        (THREE, {"CUDA_VISIBLE_DEVICES": "1"}, "set CUDA_DEVICE_ORDER=PCI_BUS_ID or name a UUID"),
        (THREE, {"GPU_DEVICE_ORDINAL": "1"}, "GPU_DEVICE_ORDINAL=1 counts GPUs in CUDA's order"),
        (ONE, {"CUDA_VISIBLE_DEVICES": "3"}, "CUDA_VISIBLE_DEVICES=3 names no GPU"),
        (ONE, {"CUDA_VISIBLE_DEVICES": "GPU-ffff"}, "there is no GPU 'GPU-ffff'"),
        (ONE, {"CUDA_VISIBLE_DEVICES": "all"}, "'all' is not a GPU"),
        (THREE, {"SLURM_JOB_GPUS": "9"}, "SLURM_JOB_GPUS=9 names no GPU"),
        (THREE, {"SLURM_STEP_GPUS": "gpu:0"}, "SLURM_STEP_GPUS=gpu:0 is no list"),
        (Scenario([SPLIT, Gpu(B)]), {"CUDA_VISIBLE_DEVICES": A}, f"choose one of {SLICE}"),
    ],
)
def test_variables_that_do_not_say_which_gpu_are_an_error(
    tmp_path, nvml_library, scenario, variables, words
):
    line = choice(tmp_path, nvml_library, scenario, json.dumps(variables))
    assert isinstance(line, str), line
    assert line.startswith("--gpu auto: ")
    assert words in line
    assert "GPU=none" in line


def test_a_gpu_that_is_named_is_taken_whatever_the_variables_say(tmp_path, nvml_library):
    found = choice(tmp_path, nvml_library, THREE, '{"CUDA_VISIBLE_DEVICES": ""}', "1")
    assert found == [B, "", []]


@pytest.mark.parametrize(("init", "virtual"), [(12, True), (18, False), (999, False)])
def test_the_doctor_promises_no_fallback_that_there_is_not(tmp_path, nvml_library, init, virtual):
    code = """
import json
from harness.cli import doctor
(found,) = doctor._gpus()
print(json.dumps([found.good, found.text]))
"""
    path = Scenario(init=init).write(tmp_path / "scenario")
    good, text = fake_nvml.run(code, nvml_library, path)
    assert good is False
    assert ("the virtual accelerator is used" in text) is virtual
