"""What the family's scripts share: a graph, its sessions, training, and what the checks need."""

import os
import typing

from common import marker, metrics
from common.digest import Tensors
from common.runtime import Runtime
from families.tf_serialization import classifier
from workload.graph_model import Feed, Fetches, GraphWorkload, read_graph

BATCH_SIZE = 256
_BATCHES = 8
EPOCHS = 5
# After a load.
RESUMED_EPOCHS = 2
_TRAIN_SEED = 1
_TEST_SEED = 2
_DATA = "rows of ten numbers, made from a seed"
CHECKPOINT = os.path.join("results", "graph.ckpt")
META_GRAPH = CHECKPOINT + ".meta"
FROZEN = os.path.join("results", "frozen_model.pb")


class Serialization(GraphWorkload):
    """The classifier in the default graph; what is added to that is on the accelerator.

    graph: the default graph. model: `classifier.Model` of it, after `find`.
    """

    batch_size = BATCH_SIZE

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self.graph = started.tf.get_default_graph()
        self.model: typing.Optional[classifier.Model] = None
        self._answers: typing.Any = None
        self._x, self._y = classifier.rows(self.batch_size * _BATCHES, _TRAIN_SEED)
        started.report(_DATA)

    def import_model(self) -> typing.Any:
        """Adds the model of the earlier phase's meta graph to the graph; gives its `Saver`.

        In a reference it is the model that code makes.
        """
        if self.phase.reference:
            classifier.build(self.tf)
            return self.tf.train.Saver()
        return self.tf.train.import_meta_graph(self.input(META_GRAPH))

    def frozen_graph(self) -> typing.Any:
        """The `GraphDef` that the earlier phase froze.

        In a reference it is one with initial weights: a graph of constants has no others to start
        from than those that it was frozen with.
        """
        if self.phase.reference:
            with self.tf.Graph().as_default() as graph:
                classifier.build(self.tf)
                with self.session(graph) as session:
                    self.initialise(session)
                    return self._frozen(session)
        return read_graph(self.tf, self.input(FROZEN))

    def edit(self, training: bool = False) -> None:
        """Lets LMS edit the graph; no session may have run it."""
        self.lms(training).run(self.graph)

    def find(self, prefix: str = "") -> classifier.Model:
        """The model's tensors in the graph. prefix: of an import, with its slash."""
        self.model = classifier.find(self.graph, prefix)
        return self.model

    def train(self, session: typing.Any, epochs: int = EPOCHS, done: int = 0) -> None:
        """Trains, with dropout; marks the loss of each epoch, and the accuracy on other rows.

        done: epochs before these.
        """
        feeds = [self._train_feed(number) for number in range(_BATCHES)]
        training = classifier.find_training(self.graph)
        for epoch in range(done + 1, done + epochs + 1):
            losses = [
                self.timed_run(session, [training.loss, training.step], feed)[0] for feed in feeds
            ]
            metrics.mark({"loss": sum(losses) / _BATCHES}, epoch=epoch, split="train")
        model = classifier.find(self.graph)
        x, y = classifier.rows(1024, _TEST_SEED)
        hits = session.run(model.predictions, {model.inputs: x}) == (y > 0.5)
        self.runtime.steps.ran("predict")
        metrics.mark({"accuracy": hits.mean()}, epoch=done + epochs, split="test")

    def digest(self, model: typing.Any, stage: str, optimizer: bool = False) -> None:
        """As in `Workload`; claims the seed's answers as well."""
        super().digest(model, stage, optimizer)
        if self.phase.measure:
            claim_answers(self._answers)

    def weights(self, model: typing.Any) -> Tensors:
        """As in `Workload`: variables, or the constants that they were frozen to."""
        return self._told(model, self._found.weights)

    def predictions(self, model: typing.Any) -> typing.Any:
        """As in `Workload`: the scores, float32 [rows, 1]; keeps the answers of the same run."""
        fetches = [self._found.scores, self._found.predictions]
        # Both in one run: each draws numbers for the dropout, and so decides what training draws.
        scores, self._answers = model.run(fetches, {self._found.inputs: classifier.fixed_batch()})
        return scores

    def step(self, role: str) -> typing.Tuple[Fetches, Feed]:
        """A training step, or a prediction, of one batch."""
        if role == "train":
            return classifier.find_training(self.graph).step, self._train_feed(0)
        return self._found.predictions, {self._found.inputs: self._x[: self.batch_size]}

    def uninitialized(self, session: typing.Any) -> int:
        """Number of the graph's variables that have no value in the session."""
        return len(session.run(self.tf.report_uninitialized_variables()))

    def freeze(self, session: typing.Any, path: str) -> typing.Any:
        """Writes the model with its variables as constants, without training, for any device."""
        frozen = self._frozen(session)
        with open(path, "wb") as target:
            target.write(frozen.SerializeToString())
        return frozen

    def _frozen(self, session: typing.Any) -> typing.Any:
        output = classifier.PREDICTIONS.split(":")[0]
        frozen = self.tf.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), [output]
        )
        for node in frozen.node:
            node.device = ""
        return frozen

    @property
    def _found(self) -> classifier.Model:
        return self.model or self.find()

    def _train_feed(self, number: int) -> Feed:
        model, training = classifier.find(self.graph), classifier.find_training(self.graph)
        batch = slice(number * self.batch_size, (number + 1) * self.batch_size)
        return {
            model.inputs: self._x[batch],
            training.labels: self._y[batch],
            training.switch: True,
        }


def claim_answers(predictions: typing.Any) -> None:
    """Claims that the first two predictions, bool [rows, 1], are the seed's answers."""
    for name, expected, found in zip(("0 to 9", "ten fives"), classifier.ANSWERS, predictions):
        marker.claim(f"the answer for {name}", expected, bool(found[0]))


def files(directory: str) -> typing.List[str]:
    """Names of the files below a directory, in order; none if it is not there."""
    return sorted(name for _, _, names in os.walk(directory) for name in names)
