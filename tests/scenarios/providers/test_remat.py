"""Keras' rematerialisation: the peak falls, nothing moves, and a load loses it."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from harness.checks.swaps import recomputation, step
from harness.logs.parser import parse
from harness.record.facts import LogFacts
from tests.scenarios.phases import Ended, run_code, run_phase

FAMILY = "keras_saveload/mnist_mixer_keras_"
BACKENDS = ["keras3-torch", "keras3-jax"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("remat")


@functools.cache
def phase(
    flavor: str, script: str, provider: str, directory: Path, source: Ended | None = None
) -> Ended:
    place = directory / f"{flavor}.{script.rpartition('/')[2]}.{provider}"
    ended = run_phase(flavor, FAMILY + script, place, source, LMS_PROVIDER=provider)
    assert ended.code == 0, ended.log
    return ended


def facts(ended: Ended) -> LogFacts:
    return parse(ended.log.encode())


def peak(ended: Ended) -> int:
    found = step.trace(facts(ended), "train")
    assert found is not None
    assert found.peak_accelerator is not None
    return found.peak_accelerator


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", BACKENDS)
def test_the_peak_falls_and_nothing_moves_until_the_model_is_loaded(
    flavor: str, directory: Path
) -> None:
    saved = phase(flavor, "trainsave_keras", "remat", directory)
    control = phase(flavor, "trainsave_keras", "off", directory)
    verdict = recomputation.judge("train", facts(saved), facts(control))
    assert verdict.word == "confirmed", verdict.message
    assert saved.one("lms_edited")["recomputed"] == 25
    losses = [
        [metric["value"] for metric in ended.of("metric", name="loss")]
        for ended in (saved, control)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    # remat-scope-lost: the step after the load is the control's.
    loaded = phase(flavor, "load_keras_train", "remat", directory, saved)
    assert recomputation.judge("train", facts(loaded), facts(control)).word == "refuted"
    assert peak(loaded) == pytest.approx(peak(control), rel=0.01)
    assert "recomputed" not in loaded.one("lms_edited")


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", BACKENDS)
def test_weights_are_loaded_into_a_model_that_keeps_it(flavor: str, directory: Path) -> None:
    saved = phase(flavor, "trainsaveweights_v3", "remat", directory)
    loaded = phase(flavor, "loadweights_v3_train_repaired", "remat", directory, saved)
    assert peak(loaded) == pytest.approx(peak(saved), rel=0.05)
    assert loaded.digests("restored") == saved.digests("saved")


@pytest.mark.tensorflow
def test_a_model_that_only_predicts_says_nothing(tmp_path: Path) -> None:
    code = """
from common import runtime
from providers import registry
import keras
from common.phase import Phase
import os, types
run = types.SimpleNamespace(phase=Phase.from_environment(os.environ), keras=keras)
with registry.building(run):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
registry.create(run, training=False).set_model(model)
print("remat mode", model.layers[0]._remat_mode.mode)
registry.create(run).set_model(model)
"""
    ended = run_code("keras3-torch", code, tmp_path, LMS_PROVIDER="remat")
    assert ended.code == 0, ended.log
    assert "remat mode full" in ended.log
    assert [edit["recomputed"] for edit in ended.of("lms_edited")] == [1]
