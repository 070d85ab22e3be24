"""The edit of traced functions, on the real TensorFlow 2."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tests.scenarios.phases import FUNCTIONS, Ended, run_code

pytestmark = pytest.mark.tensorflow

HEAD = """
import numpy as np
from common import runtime
from meters import trace
from providers import registry

x = np.random.RandomState(0).rand(32, 16, 16, 1).astype("float32")
y = np.eye(10, dtype="float32")[np.arange(32) % 10]

def build(run, **options):
    layers = run.keras.layers
    model = run.keras.models.Sequential([
        layers.Conv2D(4, 3, activation="relu", input_shape=(16, 16, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("sgd", "categorical_crossentropy", **options)
    return model

def swaps(function):
    return [[op for op in concrete.graph.get_operations() if op.name.startswith("lms/swap")]
            for concrete in function._list_all_concrete_functions()]
"""

# One process for all cases of a flavor: importing TensorFlow takes longer than any of them.
CASES = """
def script(run):
    tf = run.tf
    lms = registry.create(run, batch_size=8)

    # The train function, and one trace of it for each kind of input.
    model = build(run, jit_compile=True)
    model.fit(x, y, 8, verbose=0, callbacks=[lms])
    assert model.jit_compile is False
    first = model.train_function
    assert all(swaps(first))
    for op in swaps(first)[-1]:
        inside = ("CPU:0", "CPU:1") if "swapout" in op.name else ("CPU:1", "CPU:0")
        assert (op.device[-5:], op.inputs[0].op.device[-5:]) == inside, op
    trace.train(run, model, x[:8], y[:8])
    before = len(swaps(first))
    model.fit(x, y.astype("int32"), 8, verbose=0, callbacks=[lms])
    assert model.train_function is first
    assert len(swaps(first)) > before and all(swaps(first))
    try:
        model.fit(x, y, 8, verbose=0)
        trace.train(run, model, x[:8], y[:8].astype("uint8"))
    except RuntimeError as error:
        assert "traced anew" in str(error)
    else:
        raise AssertionError("a new trace went unnoticed")

    # The gradient of a kernel, which needs a workspace, comes before that of the layer's input:
    # the optimizer makes copies of the gradients that nobody reads, and they must not count.
    ordered = build(run)
    ordered.compile("adadelta", "categorical_crossentropy")
    ordered.fit(x, y, 8, verbose=0, callbacks=[lms])
    graph = ordered.train_function._list_all_concrete_functions()[-1].graph
    operations = graph.get_operations()
    (of_kernel,) = [op for op in operations if op.type == "Conv2DBackpropFilter"
                    and op.inputs[0].shape[-1] == 4]
    (of_input,) = [op for op in operations if op.type == "Conv2DBackpropInput"
                   and op.inputs[1].shape[2] == 4]
    waiting, before = [of_input], set()
    while waiting:
        op = waiting.pop()
        if op not in before:
            before.add(op)
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    assert of_kernel in before

    # Compiling makes a fresh function; it is edited too.
    model.compile("sgd", "categorical_crossentropy")
    model.fit(x, y, 8, verbose=0, callbacks=[lms])
    assert model.train_function is not first and all(swaps(model.train_function))

    # A function from before LMS came is replaced.
    early = build(run)
    early.predict(x, verbose=0)
    stale = early.predict_function
    assert not any(swaps(stale))
    plain = early.predict(x, 16, verbose=0)
    predicting = registry.create(run, training=False, batch_size=8)
    predicting.set_model(early)
    assert (early.predict(x, 16, verbose=0) == plain).all()
    assert early.predict_function is not stale and all(swaps(early.predict_function))
    trace.predict(run, early, x)

    # What a script traces itself; a function that it calls is out of reach.
    @tf.function
    def inner(value):
        first = tf.tanh(value)
        return tf.tanh(tf.tanh(first)) + first

    def outer(value):
        called = inner(value + 1.0)
        return tf.tanh(tf.tanh(called)) + called

    function = lms.function(outer)
    value = tf.ones([8, 8])
    assert lms.parameters.swapout_threshold == 1
    assert np.allclose(function(value), outer(value))
    (added,) = swaps(function)
    assert any("PartitionedCall" in op.name for op in added)
    assert not any(swaps(inner)), "edits reached the inner function"
    trace.function(run, "predict", function, lambda: function(value))
    try:
        lms.run()
    except NotImplementedError:
        pass
    else:
        raise AssertionError("edited a graph in function mode")

runtime.execute(script)
"""

REPLICAS = """
def script(run):
    strategy = run.tf.distribute.MirroredStrategy(run.phase.accelerator_devices)
    with strategy.scope():
        model = build(run)
    model.fit(x, y, 16, verbose=0, callbacks=[registry.create(run, batch_size=8)])
    trace.train(run, model, x[:16], y[:16])
    found = swaps(model.train_function)[-1]
    for number in (1, 2):
        unit = "CPU:{}".format(number)
        mine = [op for op in found if op.device.endswith(unit)]
        assert mine, "no swap-in on " + unit
        for op in mine:
            readers = {reader.device[-5:] for reader in op.outputs[0].consumers()}
            assert readers == {unit}, readers
            assert op.inputs[0].op.inputs[0].op.device.endswith(unit)

runtime.execute(script, placed=False)
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Ended]:
    @functools.cache
    def run(flavor: str, provider: str) -> Ended:
        directory = tmp_path_factory.mktemp(f"{flavor}-{provider}")
        code = CASES if provider == "builtin" else CASES_OFF
        return run_code(flavor, HEAD + code, directory, LMS_PROVIDER=provider)

    return run


CASES_OFF = """
def script(run):
    lms = registry.create(run, batch_size=8)
    model = build(run)
    model.fit(x, y, 8, verbose=0, callbacks=[lms])
    assert hasattr(model.make_train_function, "lms_wraps"), "not wrapped as with LMS"
    assert not any(swaps(model.train_function))
    trace.train(run, model, x[:8], y[:8])

runtime.execute(script)
"""


@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_every_trace_is_edited(flavor: str, cases: Callable[[str, str], Ended]) -> None:
    ended = cases(flavor, "builtin")
    assert ended.code == 0, ended.log
    assert ended.of("done")
    edits = ended.of("lms_edited")
    assert all(edit["swap_out"] > 0 and edit["swap_in"] > 0 for edit in edits)
    assert ended.log.count("[LMS][0] Added") == len(edits)
    (note,) = ended.of("note")
    assert note["text"] == "jit_compile of the model is turned off for LMS"


@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_announced_parameters_are_those_of_the_edit(
    flavor: str, cases: Callable[[str, str], Ended]
) -> None:
    edits = cases(flavor, "builtin").of("lms_edited")
    thresholds = [edit["parameters"]["swapout_threshold"] for edit in edits]
    # Three traces train. A forward function swaps at a distance that is one less.
    assert thresholds[0] == 1
    assert thresholds[-1] == 0


@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_meter_sees_what_the_graph_has(flavor: str, cases: Callable[[str, str], Ended]) -> None:
    train = cases(flavor, "builtin").one("trace", function="train")
    first = cases(flavor, "builtin").of("lms_edited")[0]
    assert (train["graph_swap_out"], train["graph_swap_in"]) == (
        first["swap_out"],
        first["swap_in"],
    )
    assert 0 < train["swap_out"] <= train["graph_swap_out"]
    assert 0 < train["swap_in"] <= train["graph_swap_in"]
    assert train["bytes_out"] == pytest.approx(first["bytes_out"], rel=0.05)
    assert train["peak_host"] > 0
    control = cases(flavor, "off").one("trace", function="train")
    assert [control[name] for name in ("swap_out", "graph_swap_out", "bytes_in")] == [0, 0, 0]
    assert control["peak_accelerator"] > control["lower_bound"] > 0
    assert not cases(flavor, "off").of("lms_edited")


@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_replicas_swap_each_for_itself(
    flavor: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ended = run_code(flavor, HEAD + REPLICAS, tmp_path_factory.mktemp("replicas"), REPLICAS="2")
    assert ended.code == 0, ended.log
    assert ended.one("trace")["swap_in"] > 0
