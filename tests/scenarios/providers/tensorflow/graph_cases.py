"""Cases of `test_graph.py`, run by a Python with TensorFlow 1.15.5; prints one JSON object.

Parses on Python 3.6. `python graph_cases.py SCENARIOS_FOLDER`.
"""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
sys.path.insert(0, sys.argv[1])

import numpy as np
import tensorflow.compat.v1 as tf

from frameworks.resources import Resources
from frameworks.session import config
from meters.run_metadata import measure
from providers.parameters import Parameters
from providers.tensorflow import broken
from providers.tensorflow.graph import edit
from providers.tensorflow.insertion import Insertion

ACCELERATOR, HOST = "/device:CPU:1", "/device:CPU:0"
RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.rand(64, 28, 28, 1).astype("float32")
LABELS = np.eye(10)[np.arange(64) % 10].astype("float32")


def session(graph):
    return tf.Session(graph=graph, config=config(tf, Resources(on_gpu=False)))


def edited(graph, **options):
    parameters = Parameters(
        **{key: options.pop(key) for key in Parameters._fields if key in options}
    )
    return edit(graph, parameters, accelerator=ACCELERATOR, host=HOST, **options)


def train(lms=True, evaluate=False, **options):
    """Losses of three training steps of a small Keras model, and what the last one did."""
    keras = tf.keras
    keras.backend.clear_session()
    tf.set_random_seed(7)
    graph = tf.get_default_graph()
    keras.backend.set_session(session(graph))
    layers = keras.layers
    with tf.device(ACCELERATOR):
        model = keras.Sequential(
            [
                layers.Conv2D(16, 3, activation="relu", input_shape=(28, 28, 1)),
                layers.Conv2D(16, 3, activation="relu"),
                layers.BatchNormalization(),
                layers.MaxPooling2D(),
                layers.Dropout(0.25),
                layers.Flatten(),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("rmsprop", "categorical_crossentropy")
        model._make_train_function()
        model._make_test_function()
    done = edited(graph, batch_size=len(IMAGES), **options) if lms else None
    function = model.train_function
    metadata = tf.RunMetadata()
    function.run_options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    function.run_metadata = metadata
    losses = [float(model.train_on_batch(IMAGES, LABELS)) for _ in range(3)]
    result = {"losses": losses, "trace": measure(metadata, ACCELERATOR, HOST)._asdict()}
    if evaluate:
        result["evaluated"] = float(model.test_on_batch(IMAGES, LABELS))
    if done:
        result["edit"] = done._asdict()
        result["again"] = edited(graph, batch_size=len(IMAGES))._asdict()
        reached = reachable([function.outputs[0].op, function.updates_op])
        result["reachable"] = [
            len(reached.intersection(names)) for names in (done.swap_out_names, done.swap_in_names)
        ]
        operations = [graph.get_operation_by_name(name) for name in done.swap_out_names]
        result["ranks"] = sorted({operation.outputs[0].shape.ndims for operation in operations})
        result["devices"] = sorted({operation.device for operation in operations})
    return result


def reachable(operations):
    """Names of the operations that a run of `operations` needs."""
    waiting, seen = list(operations), set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in seen:
            seen.add(operation.name)
            waiting.extend(tensor.op for tensor in operation.inputs)
            waiting.extend(operation.control_inputs)
    return seen


def cond(taken, make=Insertion):
    """A `tf.cond` whose input and whose both branches have far consumers."""
    with tf.Graph().as_default() as graph:
        condition = tf.placeholder(tf.bool, [])
        with tf.device(ACCELERATOR):
            x = tf.constant(IMAGES[0, :, :, 0]) * 1.5

            def branch(sign):
                def build():
                    first = x * sign
                    last = first
                    for _ in range(4):
                        last = tf.tanh(last)
                    return last + first

                return build

            y = tf.cond(condition, branch(1.0), branch(-2.0))
            z = tf.tanh(tf.tanh(tf.tanh(y))) * y + x
            gradient = tf.gradients(tf.reduce_sum(z), x)[0]
        if make is not None:
            done = edited(graph, make=make)
        with session(graph) as running:
            values = running.run([z, gradient], {condition: taken})
        return {
            "values": [float(value.sum()) for value in values],
            "swap_in": done.swap_in if make is not None else 0,
        }


def loop(lms):
    """A `tf.while_loop` with large tensors inside, and far consumers outside of it."""
    with tf.Graph().as_default() as graph:
        with tf.device(ACCELERATOR):
            x = tf.constant(IMAGES[0, :, :, 0]) * 1.5

            def body(step, value):
                last = value
                for _ in range(4):
                    last = tf.tanh(last)
                return step + 1, last + value

            _, y = tf.while_loop(lambda step, _: step < 3, body, [0, x])
            z = tf.tanh(tf.tanh(tf.tanh(y))) * y + x
            gradient = tf.gradients(tf.reduce_sum(z), x)[0]
        inside = [operation for operation in graph.get_operations() if "while/" in operation.name]
        done = edited(graph) if lms else None
        touched = [
            operation.name
            for operation in inside
            if operation.type not in ("Enter", "Exit")
            and any("lms/" in tensor.op.name for tensor in operation.inputs)
        ]
        with session(graph) as running:
            values = running.run([z, gradient])
        return {
            "values": [float(value.sum()) for value in values],
            "touched": touched,
            "swap_in": done.swap_in if done else 0,
        }


def chain(distance, **options):
    """How many tensors are swapped where one consumer is `distance` levels from its producer."""
    with tf.Graph().as_default() as graph:
        with tf.device(ACCELERATOR):
            x = tf.placeholder(tf.float32, [4, 4]) + 1.0
            last = x
            for _ in range(distance - 1):
                last = tf.tanh(last)
            result = last * x
        done = edited(graph, **options)
        with session(graph) as running:
            running.run(result, {graph.get_operations()[0].outputs[0]: np.ones([4, 4])})
        return done.swap_out


def fetched_part():
    """Whether the loss can be fetched after the edit without running the backward pass."""
    with tf.Graph().as_default() as graph:
        with tf.device(ACCELERATOR):
            x = tf.placeholder(tf.float32, [8, 16])
            value, variables = x, []
            for number in range(6):
                variable = tf.get_variable("v" + str(number), [16, 16])
                variables.append(variable)
                value = tf.tanh(tf.matmul(value, variable))
            loss = tf.reduce_sum(value**2)
            train_op = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
            gradient = tf.gradients(loss, variables[0])[0]
        initializer = tf.global_variables_initializer()
        edited(graph)
        with session(graph) as running:
            running.run(initializer)
            feeds = {x: np.ones([8, 16])}
            before = running.run([loss, gradient], feeds)[0]
            after = float(running.run(loss, feeds))
            running.run(train_op, feeds)
            trained = float(running.run(loss, feeds))
        return {"before": float(before), "after": after, "trained": trained}


def growth():
    """Times of edits of two graphs of which the second is eight times as large, in ms."""
    times = []
    for depth in (100, 800):
        with tf.Graph().as_default() as graph:
            with tf.device(ACCELERATOR):
                x = last = tf.placeholder(tf.float32, [4, 4])
                for _ in range(depth):
                    last = tf.tanh(last)
                tf.gradients(last, x)
            times.append(edited(graph).milliseconds)
    return times


def main():
    tf.disable_v2_behavior()
    tf.logging.set_verbosity(tf.logging.ERROR)
    result = {
        "control": train(lms=False, evaluate=True),
        "modes": [train(sync_mode=mode, evaluate=True) for mode in range(4)],
        "grouped": train(swapin_groupby=100),
        "ahead": train(sync_mode=0, swapin_ahead=3),
        "threshold": train(swapout_threshold=1000),
        "corrupt": train(make=broken._WrongValues),
        "cond": {
            str(taken): [cond(taken, make=None), cond(taken), cond(taken, make=broken._WrongValues)]
            for taken in (True, False)
        },
        "loop": [loop(False), loop(True)],
        "chain": {
            "near": chain(2, swapout_threshold=3),
            "at": chain(3, swapout_threshold=3),
            "beyond": chain(4, swapout_threshold=3),
        },
        "part": fetched_part(),
        "growth": growth(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
