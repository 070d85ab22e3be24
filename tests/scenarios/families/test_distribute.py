"""Saving under a strategy and loading under another, on the flavors with TensorFlow 2."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalog import catalog
from tests.scenarios.phases import FLAVORS, SCENARIOS, Ended, run_phase

FAMILY = "distribute"
FOUND = [flavor for flavor in FLAVORS if "distribution" in FLAVORS[flavor].features]
TWO = {"REPLICAS": "2"}

Saved = Callable[[str], Ended]


def phase(
    flavor: str, name: str, directory: Path, source: Ended | None = None, **more: str
) -> Ended:
    ended = run_phase(flavor, f"{FAMILY}/{name}", directory, source, **more)
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    broken = [claim for claim in ended.of("claim") if claim["expected"] != claim["found"]]
    assert not broken
    return ended


def predictions(ended: Ended, stage: str) -> list[float]:
    values: list[float] = ended.one("digest", of="predictions", stage=stage)["values"]
    return values


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The phase that trains on two replicas and saves in every format, run once a flavor."""

    @functools.cache
    def save(flavor: str) -> Ended:
        return phase(flavor, "train_save", tmp_path_factory.mktemp(flavor) / "save", **TWO)

    return save


def test_family_shares_one_training_and_leaves_no_script_over() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    assert all(scenario.requires == ("keras", "distribution") for scenario in scenarios)
    used = {phase.script for scenario in scenarios for phase in scenario.phase}
    used |= {scenario.straight.script for scenario in scenarios if scenario.straight is not None}
    scripts = (SCENARIOS / "families" / FAMILY).glob("*.py")
    assert used == {path.name for path in scripts if "__main__" in path.read_text()}
    first = {repr(scenario.phase[0].variables) for scenario in scenarios[:-1]}
    assert first == {repr(TWO)}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", FOUND)
def test_loaded_object_is_a_layer_that_trains_on_replicas_with_the_same_result(
    flavor: str, saved: Saved, tmp_path: Path
) -> None:
    source = saved(flavor)
    assert source.one("trace")["swap_out"] > 0
    assert set(source.digests("saved")) == {"weights", "optimizer", "predictions"}

    swapped = phase(flavor, "load_layer_train", tmp_path / "swapped", source, **TWO)
    control = phase(
        flavor, "load_layer_train", tmp_path / "control", source, LMS_PROVIDER="off", **TWO
    )
    for ended in (swapped, control):
        assert ended.digests("restored").items() <= source.digests("saved").items()
    assert swapped.one("trace")["swap_in"] > 0
    assert control.one("trace")["swap_in"] == 0
    ours, theirs = ([m["value"] for m in ended.of("metric")] for ended in (swapped, control))
    assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", FOUND)
def test_signature_infers_on_every_replica(flavor: str, saved: Saved, tmp_path: Path) -> None:
    source = saved(flavor)
    loaded = phase(flavor, "load_distributed_predict", tmp_path / "load", source, **TWO)
    assert loaded.digests("restored")["weights"] == source.digests("saved")["weights"]
    # Each replica has half of a batch, for which some CPUs have another kernel.
    assert predictions(loaded, "restored") == pytest.approx(predictions(source, "saved"), abs=1e-6)
    assert {"device:CPU:1, device:CPU:2", 64} <= {m["found"] for m in loaded.of("claim")}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", FOUND)
def test_changed_weight_shows(flavor: str, saved: Saved, tmp_path: Path) -> None:
    source = saved(flavor)
    changed = run_phase(flavor, "canary/distribute_change_weight", tmp_path / "change", source)
    assert changed.code == 0, changed.log
    loaded = phase(flavor, "load_keras_one_device_train", tmp_path / "load", changed)
    before, after = source.digests("saved"), loaded.digests("restored")
    assert after["optimizer"] == before["optimizer"]
    assert after["weights"] != before["weights"]
    assert after["predictions"] != before["predictions"]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", FOUND)
def test_subclassed_model_is_saved_once_it_was_traced(flavor: str, tmp_path: Path) -> None:
    source = phase(flavor, "subclassed_train_save", tmp_path / "save")
    assert [(m["expected"], m["found"]) for m in source.of("claim")] == [
        ("ValueError", "ValueError"),
        (0, 0),
        (True, True),
        (False, False),
    ]
    loaded = phase(flavor, "subclassed_load_train", tmp_path / "load", source)
    assert loaded.digests("restored") == source.digests("saved")
