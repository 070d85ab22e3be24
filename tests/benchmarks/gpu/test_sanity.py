"""What a machine with a GPU gives, asked of the NVML test library and of frameworks on the CPU."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import fake_nvml
from tests.environments import needs_environments, python_of
from tests.nvml import fixture
from tests.paths import ROOT

nvml_library = fixture.nvml_library
UUID = "GPU-0a0b0c0f-1111-2222-3333-444444444444"

# An interpreter for the phases of a flavor: it answers what the harness asks, and then `{phase}`.
_STAND_IN = """#!/bin/sh
case "$1" in -c) exec {python} "$@" ;; esac
{phase}
"""
_FAILS = "echo no framework here; exit 1"
# A framework that finds its compiler in a place that no phase's PATH has.
PLACE = "/opt/elsewhere/bin"
_NEEDS_PLACE = """
case "$PATH" in */opt/elsewhere/bin*) ok=true ;; *) ok=false ;; esac
answer='{"jax compiles and runs": {"ok": %s, "answer": "", "seconds": 0}}'
printf "$answer" $ok >"$OUTPUT_DIR/answers.json"
$ok
"""


def stand_in(path: Path, phase: str, python: str = sys.executable) -> str:
    path.write_text(_STAND_IN.replace("{python}", shlex.quote(python)).replace("{phase}", phase))
    path.chmod(0o755)
    return str(path)


def sanity(
    tmp_path: Path,
    library: Path,
    torch: str,
    jax: str,
    *options: str,
    variables: dict[str, str] | None = None,
    **gpu: Any,
) -> tuple[int, str]:
    """Runs it; its exit code and what it printed. Answers are below `tmp_path / "sanity"`."""
    gpus = [fake_nvml.Gpu(UUID, name="Played GPU", curve=[(0, 500 * fake_nvml.MIB)], **gpu)]
    scenario = fake_nvml.Scenario(gpus).write(tmp_path / "scenario")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu.sanity", str(tmp_path / "sanity"), "0", *options],
        cwd=ROOT,
        env={
            **fake_nvml.environment(library, scenario),
            "PYTHON_keras3_torch": torch,
            "PYTHON_keras3_jax": jax,
            **(variables or {}),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def answers(tmp_path: Path, name: str) -> dict[str, dict[str, Any]]:
    return json.loads((tmp_path / "sanity" / name / "answers.json").read_text())  # type: ignore[no-any-return]


def wrong(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: entry["answer"] for name, entry in found.items() if not entry["ok"]}


def test_a_gpu_that_gives_everything(tmp_path, nvml_library):
    fails = stand_in(tmp_path / "python", _FAILS)
    code, output = sanity(tmp_path, nvml_library, fails, fails)
    assert code == 1  # of the frameworks
    # Of torch, of jax, and of jax with all variables.
    assert output.count("no framework here") == 3
    found = answers(tmp_path, "host")
    assert wrong(found) == {}
    assert found["GPU"]["answer"].startswith("Played GPU, driver 550.54.15, CUDA 12.4, 16384 MiB")
    assert found["memory call"]["answer"] == "version 2, used 500 MiB, reserved 0 MiB"
    counters = "value types [3, 3] ([64, 64] bits), values [0, 0]"
    assert found["PCIe counters 197, 198"]["answer"] == counters
    assert "not supported" in found["accounting"]["answer"]
    sampler = found["sampler at 20 Hz"]["answer"]
    assert "memory version 2, counters 64 bits" in sampler
    assert (tmp_path / "sanity" / "host" / "samples.csv").stat().st_size > 0


def test_a_gpu_that_gives_little(tmp_path, nvml_library):
    fails = stand_in(tmp_path / "python", _FAILS)
    sanity(tmp_path, nvml_library, fails, fails, memory=1, counters=0, processes=0)
    found = answers(tmp_path, "host")
    assert found["memory call"]["answer"].startswith("version 1, ")
    assert wrong(found) == {
        "PCIe counters 197, 198": "return codes [3, 3]: throughput is what is left",
        "memory by process": "NVML lists no processes: the device's memory is what is left",
    }


@pytest.mark.slow
def test_counters_of_32_bits(tmp_path, nvml_library):
    fails = stand_in(tmp_path / "python", _FAILS)
    sanity(tmp_path, nvml_library, fails, fails, counters=32)
    found = answers(tmp_path, "host")["PCIe counters 197, 198"]
    assert found["answer"] == "value types [1, 1] ([32, 32] bits), values [0, 0]"


def test_what_jax_lacks_of_this_shell_is_told_and_given(tmp_path, nvml_library):
    fails, jax = (
        stand_in(tmp_path / name, phase) for name, phase in (("a", _FAILS), ("b", _NEEDS_PLACE))
    )
    given = {"PATH": f"{os.environ['PATH']}:{PLACE}"}
    code, output = sanity(tmp_path, nvml_library, fails, jax, variables=given)
    assert code == 1
    assert "FINDING: jax works with this shell's variables and not with a phase's" in output
    made = tmp_path / "sanity" / "python-jax"
    said = subprocess.run(
        [made, "-c", "import os; print(os.environ['PATH'])"], capture_output=True, text=True
    )
    assert said.stdout.strip().endswith(PLACE)


@pytest.mark.slow
def test_where_jax_fails_with_them_too_there_is_no_finding(tmp_path, nvml_library):
    fails, jax = (
        stand_in(tmp_path / name, phase) for name, phase in (("a", _FAILS), ("b", _NEEDS_PLACE))
    )
    _, output = sanity(tmp_path, nvml_library, fails, jax)
    assert "-- jax with all variables of this shell" in output
    assert "FINDING" not in output
    assert not (tmp_path / "sanity" / "python-jax").exists()


@pytest.mark.slow
@pytest.mark.tensorflow
@needs_environments("keras3-torch", "keras3-jax")
def test_probes_on_the_virtual_accelerator(tmp_path, nvml_library):
    """As phases of a GPU, but for one variable: what they import, and what swaps, is real."""
    pythons = []
    for flavor in ("keras3-torch", "keras3-jax"):
        python = shlex.quote(str(python_of(flavor)))
        phase = f'ACCELERATOR=virtual exec {python} "$@"'
        pythons.append(stand_in(tmp_path / flavor, phase, str(python_of(flavor))))
    flags = "--xla_gpu_enable_triton_gemm=false"
    code, output = sanity(tmp_path, nvml_library, *pythons, f"--xla-flags={flags}")
    assert code == 0, output
    torch = answers(tmp_path, "torch")["6 convolutions of 8 swapped"]["answer"]
    assert "gradients bit-equal" in torch
    assert "peak 11 -> 7 MiB" in torch
    assert "6 out and " in torch
    jax = answers(tmp_path, "jax")
    assert "gradients bit-equal" in jax["6 convolutions of 8 offloaded"]["answer"]
    assert flags not in jax["jax starts as in a phase"]["answer"]
    assert flags in answers(tmp_path, "jax-flags")["jax starts as in a phase"]["answer"]
    assert (tmp_path / "sanity" / "jax" / "8-offloaded.hlo.txt").read_text().startswith("HloModule")


@pytest.mark.slow
@pytest.mark.tensorflow
@needs_environments("keras3-torch")
def test_a_framework_that_sees_no_gpu_says_so(tmp_path, nvml_library):
    fails = stand_in(tmp_path / "python", _FAILS)
    torch = str(python_of("keras3-torch"))
    code, _ = sanity(tmp_path, nvml_library, torch, fails)
    assert code == 1
    found = wrong(answers(tmp_path, "torch"))
    assert found == {"torch starts as in a phase": "UnavailableError: torch sees no GPU"}
