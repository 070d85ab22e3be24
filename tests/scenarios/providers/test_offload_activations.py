"""trl's context on torch's own CPU allocator: what it says it moved is what the meter saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalog import catalog, providers
from tests.scenarios.phases import SCENARIOS, run_code

FLAVOR, PROVIDER = "keras3-torch-trl", "offload_activations"
# A batch of a small network, one step measured by the meter, as the harness's own.
CODE = """
from common import runtime, steps
import numpy as np
from meters import trace
from providers import registry

def main(run):
    layers = run.keras.layers
    model = run.keras.Sequential(
        [run.keras.Input((64,))]
        + [layers.Dense(512, activation="relu") for _ in range(6)]
        + [layers.Dense(10, activation="softmax")]
    )
    model.compile("sgd", "categorical_crossentropy")
    lms = registry.create(run, batch_size=1024)
    lms.set_model(model)
    x = np.random.RandomState(0).rand(1024, 64).astype("float32")
    y = np.eye(10, dtype="float32")[np.arange(1024) % 10]
    trace.train(run, model, x, y, callbacks=[lms])

runtime.execute(main)
"""


def test_only_the_flavor_that_has_trl_has_cases_and_no_other_provider_has_any_there() -> None:
    whole = catalog.load(SCENARIOS.parent)
    offloading = whole.swapping_by(providers.chosen(whole.shipped, [PROVIDER]))
    assert {pair.flavor.id for pair in offloading.pairs() if pair.inapplicable is None} == {FLAVOR}
    others = whole.swapping_by(providers.chosen(whole.shipped, ["builtin", "save_on_cpu", "remat"]))
    assert FLAVOR not in {pair.flavor.id for pair in others.pairs() if pair.inapplicable is None}
    (keras,) = whole.select(flavors=["keras3-torch"]).flavors
    assert not keras.packages & {"trl", "transformers", "datasets", "accelerate", "pyarrow"}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_activations_go_out_and_come_back_and_parameters_stay(tmp_path: Path) -> None:
    swapped = run_code(FLAVOR, CODE, tmp_path / "on", LMS_PROVIDER=PROVIDER)
    control = run_code(FLAVOR, CODE, tmp_path / "off", LMS_PROVIDER="off")
    broken = run_code(
        FLAVOR, CODE, tmp_path / "fault", LMS_PROVIDER=PROVIDER, LMS_FAULT="never_swapped"
    )
    for ended in (swapped, control, broken):
        assert ended.code == 0, ended.log
    told, seen = swapped.one("lms_edited"), swapped.one("trace")
    # Images and labels are memory of numpy's to begin with, and so no swaps to the meter.
    assert seen["swap_out"] == told["swap_out"] - 2
    assert seen["swap_in"] == seen["swap_out"] - 1  # the backward pass does not ask for one scalar
    assert seen["bytes_out"] == told["bytes_out"] - 1024 * (64 + 10) * 4
    # The outputs of six layers, each saved by its activation and by the next layer; no kernels.
    output, kernel = 1024 * 512 * 4, 512 * 512 * 4
    assert 12 * output <= seen["bytes_out"] < 12 * output + kernel
    assert seen["peak_accelerator"] < control.one("trace")["peak_accelerator"]
    assert (control.one("trace")["swap_out"], broken.one("trace")["swap_out"]) == (0, 0)
    assert broken.one("lms_edited")["swap_out"] > 0
    assert control.of("lms_edited") == []


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_is_small_goes_out_as_well(tmp_path: Path) -> None:
    """A model of a few hundred bytes a tensor swaps too, as it does with every other provider."""
    small = CODE.replace("512", "4").replace("1024", "8")
    ended = run_code(FLAVOR, small, tmp_path, LMS_PROVIDER=PROVIDER)
    assert ended.code == 0, ended.log
    told, seen = ended.one("lms_edited"), ended.one("trace")
    assert seen["swap_out"] == told["swap_out"] - 2 > 0
    assert seen["bytes_out"] > 12 * 8 * 4 * 4 - 1
