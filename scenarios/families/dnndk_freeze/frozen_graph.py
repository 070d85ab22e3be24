"""From a Keras model in a session to TensorFlow's files and the frozen graph, and back."""

import json
import os
import typing

from common import marker
from common.digest import Tensors
from families.dnndk_freeze.cifar_cnn import CifarCnn
from workload.graph_model import Feed, Fetches, GraphWorkload, read_graph

CHECKPOINT = "tf_chkpt.ckpt"
INFERENCE_GRAPH = "infer_graph.pb"
SAVER = "saver.pb"
FROZEN_GRAPH = "frozen_graph.pb"
# What whoever runs the graph has to be told: a graph does not say where it starts and ends.
NAMES = "names.json"

_Names = typing.Dict[str, typing.Any]
_Nodes = typing.Sequence[typing.Any]


def write(cifar: CifarCnn, model: typing.Any) -> None:
    """Writes TensorFlow checkpoint, inference graph and frozen graph of a loaded model."""
    tf = cifar.tf
    names = {
        "input": model.inputs[0].op.name,
        "output": model.outputs[0].op.name,
        "weights": [name.split(":")[0] for name in cifar.weights(model).names],
    }
    session = cifar.keras.backend.get_session()
    saver = tf.train.Saver()
    checkpoint = saver.save(session, cifar.output(CHECKPOINT))
    tf.train.write_graph(
        session.graph.as_graph_def(),
        cifar.phase.output_directory,
        INFERENCE_GRAPH,
        as_text=False,
    )
    with open(cifar.output(SAVER), "wb") as file:
        file.write(saver.as_saver_def().SerializeToString())
    _freeze(cifar, checkpoint, names["output"])
    with open(cifar.output(NAMES), "w") as file:
        json.dump(names, file)


def _freeze(cifar: CifarCnn, checkpoint: str, output: str) -> None:
    """What `python -m tensorflow.python.tools.freeze_graph` does with these options.

    The script's function, in this process: importing TensorFlow once more takes longer than
    freezing. It imports the graph into the default one, so it gets a graph of its own. Without
    the saver's own definition it would try to make one from the names in the checkpoint, which
    it can for reference variables only.
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


def check(cifar: CifarCnn) -> None:
    """Claims what the files are and what the frozen graph does not need any more."""
    tf, checkpoint = cifar.tf, cifar.output(CHECKPOINT)
    with open(cifar.output(NAMES)) as file:
        names = json.load(file)
    nodes = read_graph(tf, cifar.output(FROZEN_GRAPH)).node
    inference = read_graph(tf, cifar.output(INFERENCE_GRAPH)).node
    constants = {node.name for node in nodes if node.op == "Const"}
    fed = [node.name for node in nodes if node.op.startswith("Placeholder")]
    marker.claim("weights that are not in the checkpoint", 0, _missing(tf, checkpoint, names))
    marker.claim("swap operations in the inference graph", 0, _swaps(inference))
    lost = len(set(names["weights"]) - constants)
    marker.claim("weights that are no constant of the frozen graph", 0, lost)
    marker.claim("variables in the frozen graph", 0, _variables(nodes))
    bound = sum(bool(node.device) for node in nodes)
    marker.claim("operations of the frozen graph that are bound to a device", 0, bound)
    marker.claim("the frozen graph is fed with images alone", True, fed == [names["input"]])
    size = os.path.getsize(cifar.output(FROZEN_GRAPH))
    marker.note(
        f"inference graph {len(inference):,} operations,"
        f" frozen graph {len(nodes):,} ({size:,} bytes)"
    )


def _missing(tf: typing.Any, checkpoint: str, names: _Names) -> int:
    return len(set(names["weights"]) - {name for name, _ in tf.train.list_variables(checkpoint)})


def _swaps(nodes: _Nodes) -> int:
    return sum("lms/swap" in node.name for node in nodes)


def _variables(nodes: _Nodes) -> int:
    return sum("Variable" in node.op or node.op == "VarHandleOp" for node in nodes)


def load(cifar: CifarCnn) -> "FrozenGraph":
    """The frozen graph of the earlier phase, on the accelerator; no session has run it.

    In a reference it is frozen here, with initial weights: a graph of constants has no others to
    start from than those that it was frozen with.
    """
    if cifar.phase.reference:
        cifar.keras.backend.set_learning_phase(0)
        write(cifar, cifar.build())
    with open(cifar.input(NAMES)) as file:
        names = json.load(file)
    definition = read_graph(cifar.tf, cifar.input(FROZEN_GRAPH))
    graph = cifar.tf.Graph()
    with graph.as_default(), cifar.tf.device(cifar.phase.accelerator_device):
        cifar.tf.import_graph_def(definition, name="")
    return FrozenGraph(cifar, graph, names, definition)


class FrozenGraph(GraphWorkload):
    """A graph with its weights in it, and the images to predict.

    graph: the `tf.Graph`, to be edited before a session is opened.
    """

    def __init__(
        self, cifar: CifarCnn, graph: typing.Any, names: _Names, definition: typing.Any
    ) -> None:
        super().__init__(cifar.runtime)
        self.graph = graph
        self._cifar = cifar
        self.batch_size = cifar.batch_size
        self._input = graph.get_tensor_by_name(names["input"] + ":0")
        self._output = graph.get_tensor_by_name(names["output"] + ":0")
        nodes = {node.name: node for node in definition.node}
        # A graph that was frozen in training mode does without the moving averages.
        kept = [name for name in names["weights"] if name in nodes]
        values = [cifar.tf.make_ndarray(nodes[name].attr["value"].tensor) for name in kept]
        self._weights = Tensors(values, kept)

    def predict(self, session: typing.Any) -> None:
        """Predicts all test images and marks the accuracy."""
        import numpy as np

        images = self._cifar.x_test
        batches = [
            self._run(session, images[start : start + self.batch_size])
            for start in range(0, len(images), self.batch_size)
        ]
        self.runtime.steps.ran("predict", len(batches))
        self._cifar.mark_accuracy(np.concatenate(batches))

    def weights(self, model: typing.Any) -> Tensors:
        """The constants that were weights."""
        return self._weights

    def predictions(self, model: typing.Any) -> typing.Any:
        """As in `Workload`."""
        return self._run(model, self._cifar.fixed_batch)

    def step(self, role: str) -> typing.Tuple[Fetches, Feed]:
        """A prediction of one batch."""
        return self._output, {self._input: self._cifar.x_test[: self.batch_size]}

    def _run(self, session: typing.Any, images: typing.Any) -> typing.Any:
        return session.run(self._output, {self._input: images})
