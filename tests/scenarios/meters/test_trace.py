"""The traced step, on a model small enough to be quick."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.phases import FUNCTIONS, SESSIONS, run_code

pytestmark = pytest.mark.tensorflow

CODE = """
import numpy as np
from common import marker, metrics, runtime
from meters import trace
from providers import registry

def script(run):
    layers = run.keras.layers
    model = run.keras.models.Sequential([
        layers.Conv2D(4, 3, activation="relu", input_shape=(16, 16, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("sgd", "categorical_crossentropy")
    lms = registry.create(run, batch_size=8)
    x = np.ones((8, 16, 16, 1), "float32")
    y = np.eye(10, dtype="float32")[:8]
    model.fit(x, y, 3, verbose=0, callbacks=[lms, metrics.history(run.keras, run.steps)])
    trace.train(run, model, x, y, step_ms=1.5)
    done = run.keras.backend.get_value(model.optimizer.iterations)
    marker.claim("steps of the optimizer", None, int(done))
    model.train_on_batch(x, y)
    assert model.train_function.run_metadata is None
    trace.predict(run, model, x)

runtime.execute(script)
"""


@pytest.mark.parametrize("flavor", SESSIONS)
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
    # The optimizer counts too, and knows nothing of the meter, which may repeat its step.
    assert train["steps"] == ended.one("claim")["found"] >= 4
    assert predict["steps"] >= 3
    for trace in (train, predict):
        assert trace["peak_accelerator"] > 0
        peaks = trace["peak_accelerator"], trace["peak_host"]
        assert ended.peaks_over_time(trace["function"]) == peaks
    if provider == "off":
        assert (train["swap_out"], train["swap_in"], train["bytes_out"]) == (0, 0, 0)
        assert not ended.of("lms_edited")
    else:
        edit = ended.one("lms_edited", provider="builtin")
        assert 0 < train["swap_out"] <= edit["swap_out"]
        assert 0 < train["swap_in"] <= edit["swap_in"]
        assert train["bytes_out"] > 0
        assert train["peak_host"] > 0
        series = ended.one("series", function="train")
        assert (len(series["swap_out"]), len(series["swap_in"])) == (
            *(train["swap_out"], train["swap_in"]),
        )
        # What was swapped went out before it came back, within the step.
        assert 0 <= series["swap_out"][0] < series["swap_in"][-1] <= series["end"]
        # The step began after the edit and before it was told.
        assert edit["t"] < series["began"] < series["t"]
        assert sum(tensor["bytes"] for tensor in series["largest"]) <= train["bytes_out"]
        assert all(tensor["name"] for tensor in series["largest"])


EAGER = """
import numpy as np
from common import digest, runtime
from meters import trace
from providers import registry

def script(run):
    layers = run.keras.layers
    model = run.keras.models.Sequential([
        layers.Flatten(input_shape=(16, 16, 1)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("sgd", "categorical_crossentropy")
    lms = registry.create(run, training=False, batch_size=8)
    lms.set_model(model)
    x = np.ones((24, 16, 16, 1), "float32")
    digest.predictions(digest.predicted(run, model, x[:4]), "restored")
    run.steps.ran("predict", 1 + 3 + 4)
    model.predict(x, 8, verbose=0)
    model.predict(x, 7, verbose=0)
    trace.predict(run, model, x[:8])
    digest.predictions(digest.predicted(run, model, x[:4]), "final")
    assert len(model.predict_function._list_all_concrete_functions()) == 1, "several traces"
    try:
        trace.function(run, "predict", model.predict_function, lambda: None)
    except LookupError as error:
        assert "was not called" in str(error)
    else:
        raise AssertionError("measured what did not run")

runtime.execute(script)
"""


@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_predictions_of_all_sizes_are_by_one_trace(flavor: str, tmp_path: Path) -> None:
    ended = run_code(flavor, EAGER, tmp_path)
    assert ended.code == 0, ended.log
    edit, trace = ended.one("lms_edited"), ended.one("trace", function="predict")
    assert trace["graph_swap_in"] == edit["swap_in"] >= trace["swap_in"] > 0
    assert trace["bytes_in"] == trace["bytes_out"] > 0
    assert trace["step_ms"] > 0
    assert ended.peaks_over_time("predict") == (trace["peak_accelerator"], trace["peak_host"])
    series = ended.one("series")
    assert len(series["swap_out"]) == trace["swap_out"] > 0
    assert 0 <= series["swap_out"][0] < series["swap_in"][-1] <= series["end"]
    assert edit["t"] < series["began"] < series["t"]
    assert trace["batch"] == 8
    assert trace["steps"] == 8 + 3  # the meter's own: before it, timed, and measured
    restored, final = ended.of("digest")
    assert restored["sha256"] == final["sha256"]
