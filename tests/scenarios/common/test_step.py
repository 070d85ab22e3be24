"""The traced step, on a model small enough to be quick."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.phases import FLAVORS, run_code

pytestmark = pytest.mark.tensorflow

CODE = """
import numpy as np
from common import runtime, step
from lms import provider

def script(run):
    layers = run.keras.layers
    model = run.keras.models.Sequential([
        layers.Conv2D(4, 3, activation="relu", input_shape=(16, 16, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("sgd", "categorical_crossentropy")
    lms = provider.create(run, batch_size=8)
    x = np.ones((8, 16, 16, 1), "float32")
    y = np.eye(10, dtype="float32")[:8]
    model.fit(x, y, verbose=0, callbacks=[lms])
    step.trace_train(run, model, x, y, step_ms=1.5)
    model.train_on_batch(x, y)
    assert model.train_function.run_metadata is None
    step.trace_predict(run, model, x)

runtime.execute(script)
"""


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("provider", ["builtin", "off"])
def test_trace_shows_the_swaps_that_were_executed(
    flavor: str, provider: str, tmp_path: Path
) -> None:
    ended = run_code(flavor, CODE, tmp_path, LMS_PROVIDER=provider)
    assert ended.code == 0, ended.log
    train = ended.one("trace", function="train")
    predict = ended.one("trace", function="predict")
    assert train["step_ms"] == 1.5
    assert predict["step_ms"] > 0
    for trace in (train, predict):
        assert trace["peak_accelerator"] > 0
    if provider == "off":
        assert (train["swap_out"], train["swap_in"], train["bytes_out"]) == (0, 0, 0)
        assert not ended.of("lms_edited")
    else:
        edit = ended.one("lms_edited", provider="builtin")
        assert 0 < train["swap_out"] <= edit["swap_out"]
        assert 0 < train["swap_in"] <= edit["swap_in"]
        assert train["bytes_out"] > 0
        assert train["peak_host"] > 0
