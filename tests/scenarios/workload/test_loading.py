"""`load_model` with callbacks: the order of what it does, and what it restores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.phases import FUNCTIONS, SESSIONS, run_code

pytestmark = pytest.mark.tensorflow

CODE = """
import os
import numpy as np
from common import runtime
from common.digest import of_arrays
from workload import loading

def script(run):
    keras, backend = run.keras, run.keras.backend
    path = os.path.join(os.environ["OUTPUT_DIR"], "{}.h5")
    model = keras.models.Sequential([keras.layers.Dense(3, input_shape=(4,)),
                                     keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.Adam(lr=0.125), "mse", metrics=["accuracy"],
                  loss_weights=None)
    x, y = np.ones((8, 4), "float32"), np.zeros((8, 2), "float32")
    model.fit(x, y, verbose=0)
    model.save(path.format("whole"))
    model.save(path.format("bare"), include_optimizer=False)
    model.save_weights(path.format("weights"))
    weights, state = model.get_weights(), model.optimizer.get_weights()

    calls = []

    class Recorder(keras.callbacks.Callback):
        def set_model(self, model):
            calls.append("set_model")
            built = getattr(model, "train_function", None) is not None
            calls.append("with train function" if built else "without train function")
            for name, owner in (("weights", model), ("optimizer", model.optimizer)):
                self.watch(name, owner)

        def watch(self, name, owner):
            setter = "load_weights" if name == "weights" else "set_weights"
            if not hasattr(owner, setter):
                return
            original = getattr(owner, setter)

            def recorded(values, *arguments, **options):
                calls.append(name)
                return original(values, *arguments, **options)

            # Not through the class: Keras models track what is set on them.
            owner.__dict__[setter] = recorded

    loaded = loading.load_model(keras, path.format("whole"), [Recorder()])
    assert calls == ["set_model", "with train function", "weights", "optimizer"], calls
    assert of_arrays(loaded.get_weights()) == of_arrays(weights)
    assert of_arrays(loaded.optimizer.get_weights()) == of_arrays(state)
    assert abs(backend.get_value(loaded.optimizer.lr) - 0.125) < 1e-6
    assert loaded.metrics_names == model.metrics_names, loaded.metrics_names
    stock = keras.models.load_model(path.format("whole"))
    assert stock.loss == loaded.loss and stock.loss_weights == loaded.loss_weights
    # The loss alone: a metric may still hold what it added up before.
    assert np.allclose(loaded.train_on_batch(x, y)[0], model.train_on_batch(x, y)[0])

    del calls[:]
    bare = loading.load_model(keras, path.format("bare"), [Recorder()])
    assert calls == ["set_model", "without train function", "weights"], calls
    assert of_arrays(bare.get_weights()) == of_arrays(weights)
    assert not getattr(bare, "optimizer", None)

    try:
        loading.load_model(keras, path.format("weights"))
    except ValueError as error:
        assert "holds no model" in str(error)
    else:
        raise AssertionError("a file of weights gave a model")

runtime.execute(script)
"""


@pytest.mark.parametrize("flavor", SESSIONS)
def test_callbacks_see_the_model_before_its_values_are_set(flavor: str, tmp_path: Path) -> None:
    ended = run_code(flavor, CODE, tmp_path)
    assert ended.code == 0, ended.log
    assert ended.of("done")


EAGER = """
import os
import numpy as np
from common import digest, runtime
from workload import loading

def script(run):
    keras = run.keras
    path = os.path.join(os.environ["OUTPUT_DIR"], "{}")
    model = keras.models.Sequential([keras.layers.Dense(3, input_shape=(4,)),
                                     keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.Adam(learning_rate=0.125), "mse", metrics=["accuracy"])
    model.fit(np.ones((8, 4), "float32"), np.zeros((8, 2), "float32"), verbose=0)
    saved = digest.of_variables(run, model.weights + digest.optimizer_variables(model)).values
    assert [float(value) for value in saved if value.shape == ()] == [1.0, 0.125]
    for name in ("whole.h5", "whole.keras"):
        seen = []

        class Recorder(keras.callbacks.Callback):
            def set_model(self, model):
                seen.append(model)

        model.save(path.format(name))
        loaded = loading.load_model(keras, path.format(name), [Recorder()], mode=run.phase.mode)
        assert seen == [loaded]
        variables = loaded.weights + digest.optimizer_variables(loaded)
        restored = digest.of_variables(run, variables).values
        assert digest.of_arrays(restored) == digest.of_arrays(saved)
    try:
        run.session
    except AttributeError as error:
        assert "no session" in str(error)
    else:
        raise AssertionError("a session")

runtime.execute(script)
"""


@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_callbacks_see_a_model_that_was_loaded_eagerly(flavor: str, tmp_path: Path) -> None:
    ended = run_code(flavor, EAGER, tmp_path)
    assert ended.code == 0, ended.log
    assert ended.of("done")
