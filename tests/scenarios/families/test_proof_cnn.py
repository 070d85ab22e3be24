"""The model of proofs: a step of it is activations, and swapping leaves a small part of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.text import MIB
from harness.catalog import catalog
from harness.cli.running import one_case
from harness.plan import planner
from tests.scenarios import compiled
from tests.scenarios.phases import (
    FLAVORS,
    KERAS3,
    MUTATION,
    SCENARIOS,
    Ended,
    run_phase,
)

FAMILY, SCENARIO = "proof_cnn", "proof_trainsave-loadtrain"
EVERY = [name for name, flavor in FLAVORS.items() if "keras" in flavor.has and not flavor.providers]
# Of two that differ in nothing that it uses, one.
KINDS = ["tf1-keras22", "tf1-tfkeras", "tf2-tfkeras", *KERAS3]
# What a proof on a GPU is to reach.
GOAL = 0.35


def phase(
    flavor: str, name: str, directory: Path, source: Ended | None = None, **more: str
) -> Ended:
    ended = run_phase(flavor, f"{FAMILY}/{name}", directory, source, **more)
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    assert MUTATION not in ended.log
    return ended


def test_family_is_one_path_on_every_flavor_and_no_script_is_left_over() -> None:
    own = catalog.load(SCENARIOS.parent).select(families=[FAMILY])
    (scenario,) = own.scenarios
    assert scenario.id == SCENARIO
    assert scenario.restores == ("weights", "optimizer", "predictions")
    cases = [pair.flavor.id for pair in own.pairs() if pair.inapplicable is None]
    assert set(EVERY) <= set(cases)
    used = {entry.script for entry in scenario.phase}
    assert scenario.straight is not None
    used.add(scenario.straight.script)
    directory = SCENARIOS / "families" / FAMILY
    assert used == {path.name for path in directory.glob("*.py")} - {"proof_cnn.py"}


@pytest.mark.parametrize("flavor", ["tf1-keras22", "keras3-jax"])
def test_a_proof_is_asked_for_by_flavor_and_scenario_alone(flavor: str) -> None:
    (case,) = planner.make(one_case("prove", SCENARIOS.parent, flavor, SCENARIO)).cases
    assert case.scenario.family == FAMILY
    assert [use.name for use in case.uses if use.control is not None] == ["load"]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", KINDS)
def test_a_loaded_model_goes_on_with_a_small_part_of_the_memory(
    flavor: str, tmp_path: Path
) -> None:
    saved = phase(flavor, "train_save", tmp_path / "save")
    loaded = phase(flavor, "load_train", tmp_path / "load", saved)
    control = phase(flavor, "load_train", tmp_path / "control", saved, LMS_PROVIDER="off")
    straight = phase(flavor, "straight", tmp_path / "straight")

    assert set(saved.digests("saved")) == {"weights", "optimizer", "predictions"}
    assert loaded.digests("restored") == saved.digests("saved")
    assert loaded.digests("final") == straight.digests("final")
    assert loaded.digests("final") != loaded.digests("restored")
    assert loaded.results == control.results

    swapped, plain = loaded.one("trace"), control.one("trace")
    assert swapped["peak_accelerator"] <= GOAL * plain["peak_accelerator"]
    assert min(swapped["swap_out"], swapped["swap_in"]) > 0
    assert (plain["swap_out"], plain["swap_in"]) == (0, 0)
    # Weights, their gradients and momenta come to little beside the activations.
    state = sum(
        loaded.one("digest", of=of, stage="final")["bytes"] for of in ("weights", "optimizer")
    )
    assert 20 * state < plain["peak_accelerator"]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", ["tf2-tfkeras", "keras3-torch"])
def test_a_wider_model_has_a_smaller_batch_that_holds_as_much(flavor: str, tmp_path: Path) -> None:
    traces = {
        width: phase(
            flavor, "train_save", tmp_path / width, LMS_PROVIDER="off", PROOF_CHANNELS=width
        ).one("trace")
        for width in ("8", "32")
    }
    assert {width: trace["batch"] for width, trace in traces.items()} == {"8": 128, "32": 32}
    narrow, wide = (trace["peak_accelerator"] for trace in traces.values())
    assert wide == pytest.approx(narrow, rel=0.1)
    (scenario,) = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    assert wide >= scenario.activations_mib * MIB


WORKLOAD = """
from families.proof_cnn.proof_cnn import ProofCnn as Workload

def build(work):
    return work.build()
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_compiled_for_a_gpu_a_large_step_reaches_the_goal_on_jax(tmp_path: Path) -> None:
    peaks = {
        provider: compiled.fields(tmp_path, WORKLOAD, 1, 224, provider, PROOF_CHANNELS="256")[
            "compiled_peak"
        ]
        for provider in ("builtin", "off")
    }
    assert peaks["off"] > 7000 * MIB
    assert 0 < peaks["builtin"] <= GOAL * peaks["off"]


@pytest.mark.tensorflow
def test_a_width_that_is_none_ends_a_phase_with_one_line(tmp_path: Path) -> None:
    ended = run_phase("tf1-tfkeras", f"{FAMILY}/train_save", tmp_path, PROOF_CHANNELS="0")
    assert ended.code == 2
    assert "Traceback" not in ended.log
    assert [line for line in ended.log.splitlines() if line.startswith("error: ")] == [
        "error: PROOF_CHANNELS is '0'; it must be a whole number of at least 1"
    ]
