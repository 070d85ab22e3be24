"""jax's own offload policies, measured in the step that jax compiled, and judged."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from harness.checks.swaps import self_report, step
from harness.logs.parser import parse
from harness.record.facts import LogFacts
from tests.scenarios.phases import run_code, run_phase

FLAVOR = "keras3-jax"
SAVE = "keras_saveload/mnist_mixer_keras_trainsaveweights_v3"
MIB = 2**20

# jax#23869: the policy has a name that no value has. What is claimed is what it would move.
NOBODY = """
import sys
from families.keras_saveload import mnist_mixer_keras_trainsaveweights_v3 as script
from providers import jax_offload
from providers.announcement import Swaps
from providers.jax.moves import Moves

def nobody(self, model):
    import jax
    return jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=["resid"],
        offload_src="device",
        offload_dst="pinned_host",
    )

jax_offload.OffloadNames.policy = nobody
jax_offload.OffloadNames._report = lambda self, moves: self.announce(Swaps(16, 59, 1, 1))
script.MnistMixer.run(script.main)
"""


@functools.cache
def step_of(provider: str, directory: Path) -> LogFacts:
    """What a phase says that trains a model of matrix products."""
    ended = run_phase(FLAVOR, SAVE, directory / provider, LMS_PROVIDER=provider)
    assert ended.code == 0, ended.log
    return parse(ended.log.encode())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jax_offload")


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.xdist_group("jax_offload")
@pytest.mark.parametrize("provider", ["jax_offload", "jax_offload-dots"])
def test_a_policy_of_jaxs_moves_what_it_says_and_the_peak_falls(
    provider: str, directory: Path
) -> None:
    facts, control = step_of(provider, directory), step_of("off", directory)
    verdict = step.judge("train", facts, control)
    assert verdict.word == "confirmed", verdict.message
    traced = step.trace(facts, "train")
    (edit,) = self_report.edits(facts)
    assert traced is not None
    assert (edit.swap_out, edit.swap_in) == (traced.swap_out, traced.swap_in)
    assert (edit.bytes_out, edit.bytes_in) == (traced.bytes_out, traced.bytes_in)
    assert traced.bytes_out is not None
    assert traced.bytes_out > 10 * MIB
    losses = [
        [metric.value for metric in of.metrics if metric.name == "loss"] for of in (facts, control)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.xdist_group("jax_offload")
def test_a_name_that_no_value_has_moves_nothing_and_is_refuted(directory: Path) -> None:
    ended = run_code(FLAVOR, NOBODY, directory / "nobody", LMS_PROVIDER="jax_offload")
    assert ended.code == 0, ended.log
    verdict = step.judge("train", parse(ended.log.encode()), step_of("off", directory))
    assert verdict.word == "refuted"
    assert "0 swap-out and 0 swap-in in the program (16 and 59 added)" in verdict.message


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.xdist_group("jax_offload")
def test_jaxs_next_implementation_moves_nothing_yet(directory: Path) -> None:
    # A release that knows the policies there ends the known defect jax-remat3-offload-lost.
    facts = step_of("jax_offload-remat3", directory)
    verdict = step.judge("train", facts, step_of("off", directory))
    assert verdict.word == "refuted"
    assert "0 swap-out and 0 swap-in in the program (0 and 0 added)" in verdict.message


@pytest.mark.tensorflow
def test_a_release_without_the_flag_is_refused_with_one_line(tmp_path: Path) -> None:
    code = """
import jax
from providers import jax_offload
del type(jax.config).jax_remat3
try:
    jax_offload._set_remat3()
except ValueError as problem:
    print("refused:", problem)
"""
    ended = run_code(FLAVOR, code, tmp_path)
    assert ended.code == 0, ended.log
    assert "refused: jax " in ended.log
    assert "has no flag jax_remat3" in ended.log
