"""The adapter for TFLMS, over a stand-in that edits like it: in place, run or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.phases import FAKE_TFLMS, MUTATION, SESSIONS, Ended, run_code

pytestmark = pytest.mark.tensorflow

CODE = """
import numpy as np
from common import runtime
from meters import trace
from providers import registry

def script(run):
    lms = registry.create(run, training=not {predict}, batch_size=8)
    layers = run.keras.layers
    model = run.keras.models.Sequential([
        layers.Conv2D(4, 3, activation="relu", input_shape=(16, 16, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("sgd", "categorical_crossentropy")
    assert all(hasattr(variable, "handle") for variable in model.weights), "reference variables"
    x = np.ones((8, 16, 16, 1), "float32")
    y = np.eye(10, dtype="float32")[:8]
    if {predict}:
        lms.set_model(model)
        model.predict(x)
        trace.predict(run, model, x)
    else:
        model.fit(x, y, verbose=0, callbacks=[lms])
        model.fit(x, y, verbose=0, callbacks=[lms])
        trace.train(run, model, x, y)

runtime.execute(script)
"""


def run(flavor: str, directory: Path, predict: bool = False) -> Ended:
    code = CODE.replace("{predict}", str(predict))
    ended = run_code(flavor, code, directory, LMS_PROVIDER="tflms", LMS_PATH=str(FAKE_TFLMS))
    assert ended.code == 0, ended.log
    return ended


@pytest.mark.parametrize("flavor", SESSIONS)
def test_training_is_edited_and_reported_once(flavor: str, tmp_path: Path) -> None:
    ended = run(flavor, tmp_path)
    edit = ended.one("lms_edited")
    assert edit["provider"] == "tflms"
    assert (edit["swap_out"], edit["swap_in"], edit["operations"]) == (2, 2, 4)
    # Two activations of a batch of 8: 14 x 14 x 4 and 12 x 12 x 4 floats.
    assert edit["bytes_out"] == edit["bytes_in"] == 8 * (14 * 14 + 12 * 12) * 4 * 4
    assert edit["ms"] > 0
    assert edit["parameters"]["sync_mode"] == 3
    assert "[LMS][0] Added 4 operations to the model (2 swap-out operations" in ended.log
    trace = ended.one("trace")
    if flavor == "tf1-keras23":
        # Keras 2.3.1 ran the graph first: the edit is void, and everything else looks well.
        assert MUTATION in ended.log
        assert (trace["swap_out"], trace["swap_in"]) == (0, 0)
        assert trace["peak_host"] is None
    else:
        assert MUTATION not in ended.log
        assert (trace["swap_out"], trace["swap_in"]) == (2, 2)
        # Copies, which identities between CPU devices are not: at least the larger activation.
        assert trace["peak_host"] >= 8 * 14 * 14 * 4 * 4


def test_prediction_is_edited(tmp_path: Path) -> None:
    ended = run("tf1-keras22", tmp_path, predict=True)
    assert ended.one("lms_edited")["swap_out"] == 2
    assert ended.one("trace", function="predict")["swap_in"] == 2
    assert MUTATION not in ended.log
