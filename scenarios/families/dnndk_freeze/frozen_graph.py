"""From a Keras model in a session to TensorFlow's files and the frozen graph, and back."""

import contextlib
import json
import os
import time

from common import claim, digest, history, marker, runtime, step
from families.dnndk_freeze import cifar_cnn

CHECKPOINT = "tf_chkpt.ckpt"
INFERENCE_GRAPH = "infer_graph.pb"
SAVER = "saver.pb"
FROZEN_GRAPH = "frozen_graph.pb"
# What whoever runs the graph has to be told: a graph does not say where it starts and ends.
NAMES = "names.json"


def write(cifar, model):
    """Writes TensorFlow checkpoint, inference graph and frozen graph of a loaded model."""
    tf = cifar.tf
    names = {
        "input": model.inputs[0].op.name,
        "output": model.outputs[0].op.name,
        "weights": [variable.name.split(":")[0] for variable in model.weights],
    }
    session = cifar.keras.backend.get_session()
    saver = tf.train.Saver()
    checkpoint = saver.save(session, cifar.output(CHECKPOINT))
    tf.train.write_graph(
        session.graph.as_graph_def(),
        cifar.runtime.phase.output_directory,
        INFERENCE_GRAPH,
        as_text=False,
    )
    with open(cifar.output(SAVER), "wb") as file:
        file.write(saver.as_saver_def().SerializeToString())
    _freeze(cifar, checkpoint, names["output"])
    with open(cifar.output(NAMES), "w") as file:
        json.dump(names, file)


def _freeze(cifar, checkpoint, output):
    """What `python -m tensorflow.python.tools.freeze_graph` does with these options.

    The script's function, in this process: importing TensorFlow once more takes longer than
    freezing. It imports the graph into the default one, so it gets a graph of its own. Without
    the saver's own definition it would try to make one from the names in the checkpoint, which
    it can for reference variables alone.
    """
    from tensorflow.python.tools import freeze_graph

    with cifar.tf.Graph().as_default():
        freeze_graph.freeze_graph(
            input_graph=cifar.output(INFERENCE_GRAPH),
            input_saver=cifar.output(SAVER),
            input_binary=True,
            input_checkpoint=checkpoint,
            output_node_names=output,
            restore_op_name="save/restore_all",
            filename_tensor_name="save/Const:0",
            output_graph=cifar.output(FROZEN_GRAPH),
            clear_devices=True,
            initializer_nodes="",
        )


def check(cifar):
    """States what the files are and what the frozen graph does not need any more."""
    tf, checkpoint = cifar.tf, cifar.output(CHECKPOINT)
    with open(cifar.output(NAMES)) as file:
        names = json.load(file)
    nodes = _read(tf, cifar.output(FROZEN_GRAPH)).node
    inference = _read(tf, cifar.output(INFERENCE_GRAPH)).node
    constants = {node.name for node in nodes if node.op == "Const"}
    fed = [node.name for node in nodes if node.op.startswith("Placeholder")]
    claim.state("weights that are not in the checkpoint", 0, _missing(tf, checkpoint, names))
    claim.state("swap operations in the inference graph", 0, _swaps(inference))
    lost = len(set(names["weights"]) - constants)
    claim.state("weights that are no constant of the frozen graph", 0, lost)
    claim.state("variables in the frozen graph", 0, _variables(nodes))
    bound = sum(bool(node.device) for node in nodes)
    claim.state("operations of the frozen graph that are bound to a device", 0, bound)
    claim.state("the frozen graph is fed with images alone", True, fed == [names["input"]])
    marker.emit(
        "note",
        text="inference graph {:,} operations, frozen graph {:,} ({:,} bytes)".format(
            len(inference), len(nodes), os.path.getsize(cifar.output(FROZEN_GRAPH))
        ),
    )


def _missing(tf, checkpoint, names):
    return len(set(names["weights"]) - {name for name, _ in tf.train.list_variables(checkpoint)})


def _swaps(nodes):
    return sum("lms/swap" in node.name for node in nodes)


def _variables(nodes):
    return sum("Variable" in node.op or node.op == "VarHandleOp" for node in nodes)


def _read(tf, path):
    content = tf.GraphDef()
    with open(path, "rb") as file:
        content.ParseFromString(file.read())
    return content


def load(cifar):
    """The frozen graph of the earlier phase, on the accelerator; no session has run it."""
    with open(cifar.input(NAMES)) as file:
        names = json.load(file)
    definition = _read(cifar.tf, cifar.input(FROZEN_GRAPH))
    graph = cifar.tf.Graph()
    with graph.as_default(), cifar.tf.device(cifar.runtime.phase.accelerator_device):
        cifar.tf.import_graph_def(definition, name="")
    return FrozenGraph(cifar, graph, names, definition)


class FrozenGraph(object):
    """A graph with its weights in it, and the evidence of what it computes.

    graph: the `tf.Graph`, to be edited before `open`.
    """

    def __init__(self, cifar, graph, names, definition):
        self.graph = graph
        self._cifar = cifar
        self._input = graph.get_tensor_by_name(names["input"] + ":0")
        self._output = graph.get_tensor_by_name(names["output"] + ":0")
        nodes = {node.name: node for node in definition.node}
        # A graph that was frozen in training mode does without the moving averages.
        self._weights = [
            cifar.tf.make_ndarray(nodes[name].attr["value"].tensor)
            for name in names["weights"]
            if name in nodes
        ]
        self._session = None

    @contextlib.contextmanager
    def open(self):
        """A session of its own for the graph; Keras' session knows nothing of it."""
        tf, phase = self._cifar.tf, self._cifar.runtime.phase
        with tf.Session(graph=self.graph, config=runtime.session_config(tf, phase)) as session:
            self._session = session
            yield

    def digest(self, stage):
        """Marks the constants that were weights, and predictions."""
        if not self._cifar.runtime.phase.evidence:
            return
        digest.arrays("weights", stage, self._weights)
        self._digest_predictions(stage)

    def predict(self):
        """Predicts all test images and marks the accuracy."""
        hits = []
        for start in range(0, len(self._cifar.x_test), cifar_cnn.BATCH_SIZE):
            batch = slice(start, start + cifar_cnn.BATCH_SIZE)
            values = self._run(self._cifar.x_test[batch])
            hits.extend(values.argmax(axis=1) == self._cifar.y_test[batch].argmax(axis=1))
        accuracy = sum(hits) / float(len(hits))
        print("Test accuracy: {}".format(accuracy))
        history.emit_metrics({"accuracy": accuracy}, epoch=cifar_cnn.EPOCHS, split="test")

    def finish(self):
        """Marks the final predictions and the record of one prediction."""
        if not self._cifar.runtime.phase.evidence:
            return
        self._digest_predictions("final")
        batch = self._cifar.x_test[: cifar_cnn.BATCH_SIZE]
        started = time.perf_counter()
        self._run(batch)
        step_ms = (time.perf_counter() - started) * 1000.0
        step.trace_session(
            self._cifar.runtime, "predict", lambda **how: self._run(batch, **how), step_ms
        )

    def _digest_predictions(self, stage):
        digest.predictions(self._run(self._cifar.x_test[: cifar_cnn.FIXED_BATCH]), stage)

    def _run(self, images, **how):
        return self._session.run(self._output, {self._input: images}, **how)
