"""The move of a graph to a fresh session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.phases import MUTATION, SESSIONS, run_code

pytestmark = pytest.mark.tensorflow

CODE = """
import weakref
import numpy as np
from common import runtime
from common.digest import of_arrays
from providers.tensorflow import renewal

def script(run):
    tf, keras = run.tf, run.keras
    backend = keras.backend
    graph = tf.get_default_graph()
    assert not renewal.has_run(graph)
    assert not renewal.renew(keras, graph)._values
    model = keras.models.Sequential([keras.layers.Dense(3, input_shape=(4,)),
                                     keras.layers.Dense(2)])
    model.compile("adam", "mse")
    x, y = np.ones((8, 4), "float32"), np.zeros((8, 2), "float32")
    model.train_on_batch(x, y)
    model.predict_on_batch(x)
    assert renewal.has_run(graph)
    weights, state = model.get_weights(), model.optimizer.get_weights()
    old = weakref.ref(run.session)
    late = backend.variable(np.ones(2))
    # Without a value in the old session, and nothing of Keras'.
    tf.get_variable("foreign", shape=[2], initializer=tf.zeros_initializer())
    config = run.session._config

    carried = renewal.renew(keras, graph, model)
    assert old() is None, "the old session is alive"
    for name in ("train_function", "predict_function"):
        assert getattr(model, name)._callable_fn is None
    # An edit of what the old session had run: nobody is left to warn.
    product = [op for op in graph.get_operations() if op.type == "MatMul"][0]
    product._add_control_input(tf.no_op())
    operations = len(graph.get_operations())
    carried.restore()
    assert len(graph.get_operations()) == operations, "restoring adds operations"
    fresh = run.session
    assert fresh is carried._session and fresh._config == config
    assert of_arrays(model.get_weights()) == of_arrays(weights)
    assert of_arrays(model.optimizer.get_weights()) == of_arrays(state)
    # What Keras had not initialised yet still gets its first value from Keras.
    assert fresh.run(late).tolist() == [1.0, 1.0]
    model.train_on_batch(x, y)
    assert of_arrays(model.get_weights()) != of_arrays(weights)

runtime.execute(script)
"""


@pytest.mark.parametrize("flavor", SESSIONS)
def test_values_move_and_the_old_session_goes(flavor: str, tmp_path: Path) -> None:
    ended = run_code(flavor, CODE, tmp_path)
    assert ended.code == 0, ended.log
    assert ended.of("done")
    assert MUTATION not in ended.log
