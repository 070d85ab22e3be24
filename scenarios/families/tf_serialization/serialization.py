"""What the family's scripts share: a session, LMS, training, evidence."""

import os
import time

from common import claim, digest, history, marker, step
from common.runtime import execute, session_config
from families.tf_serialization import classifier
from lms import provider

BATCH_SIZE = 256
_BATCHES = 8
EPOCHS = 5
_TRAIN_SEED = 1
_TEST_SEED = 2
_DATA = "rows of ten numbers, made from a seed"
CHECKPOINT = os.path.join("results", "graph.ckpt")
META_GRAPH = CHECKPOINT + ".meta"
FROZEN = os.path.join("results", "frozen_model.pb")


def run(main):
    """Runs `main(work)` as a phase; `work` is a `Serialization`."""
    execute(lambda runtime: main(Serialization(runtime)))


class Serialization(object):
    """A phase of the family.

    runtime: `common.runtime.Runtime`. tf: `tensorflow.compat.v1`. graph: the default graph; what
    is added to it is on the accelerator.
    """

    def __init__(self, runtime):
        self.runtime = runtime
        self.tf = runtime.tf
        self.graph = runtime.tf.get_default_graph()
        self._x, self._y = classifier.rows(BATCH_SIZE * _BATCHES, _TRAIN_SEED)
        self._step_ms = None
        runtime.report(_DATA)

    def input(self, *names):
        """Path of an artifact of the earlier phase."""
        return self.runtime.phase.input(*names)

    def output(self, *names):
        """Path for an artifact of this phase."""
        return self.runtime.phase.output(*names)

    def edit(self, training=False):
        """Lets LMS edit the graph; no session may have run it."""
        provider.create(self.runtime, training=training, batch_size=BATCH_SIZE).run(self.graph)

    def session(self):
        """A session of the graph, to be used in a `with`."""
        return self.tf.Session(graph=self.graph, config=session_config(self.tf, self.runtime.phase))

    def train(self, session, epochs=EPOCHS):
        """Trains, with dropout; marks the loss of each epoch, and the accuracy on other rows."""
        feeds = [self._train_feed(number) for number in range(_BATCHES)]
        training = classifier.find_training(self.graph)
        elapsed = []
        for epoch in range(1, epochs + 1):
            losses = []
            for feed in feeds:
                started = time.perf_counter()
                losses.append(session.run([training.loss, training.step], feed)[0])
                elapsed.append((time.perf_counter() - started) * 1000.0)
            history.emit_metrics({"loss": sum(losses) / _BATCHES}, epoch=epoch, split="train")
        self._step_ms = history.median(elapsed)
        model = classifier.find(self.graph)
        x, y = classifier.rows(1024, _TEST_SEED)
        hits = session.run(model.predictions, {model.inputs: x}) == (y > 0.5)
        history.emit_metrics({"accuracy": hits.mean()}, epoch=epochs, split="test")

    def digest(self, session, model, stage, optimizer=False):
        """Marks what the session holds, and claims the seed's answers.

        model: `classifier.Model`. stage: `'saved'` or `'restored'`. optimizer: whether the graph
            has the optimizer's state.
        """
        if not self.runtime.phase.evidence:
            return
        self.digest_weights(session, model, stage)
        if optimizer:
            weights = {variable.name for variable in model.weights}
            state = [v for v in self.tf.global_variables() if v.name not in weights]
            digest.arrays("optimizer", stage, session.run(state))
        batch = {model.inputs: classifier.fixed_batch()}
        scores, predictions = session.run([model.scores, model.predictions], batch)
        digest.predictions(scores, stage)
        claim_answers(predictions)

    def digest_weights(self, session, model, stage):
        """Marks the digest of the weights alone."""
        digest.arrays("weights", stage, session.run(model.weights))

    def finish(self, session, model, role):
        """Marks the final predictions and the record of one step; a training step changes weights.

        role: `'train'` or `'predict'`, what the phase did with the model.
        """
        if not self.runtime.phase.evidence:
            return
        scores = session.run(model.scores, {model.inputs: classifier.fixed_batch()})
        digest.predictions(scores, "final")
        if role == "train":
            fetch, feed = classifier.find_training(self.graph).step, self._train_feed(0)
        else:
            fetch, feed = model.predictions, {model.inputs: self._x[:BATCH_SIZE]}
            session.run(fetch, feed)  # the first run of these fetches optimises the graph
            started = time.perf_counter()
            session.run(fetch, feed)
            self._step_ms = (time.perf_counter() - started) * 1000.0
        step.trace_session(
            self.runtime,
            role,
            lambda **options: session.run(fetch, feed, **options),
            self._step_ms,
        )

    def uninitialized(self, session):
        """Number of the graph's variables that have no value in the session."""
        return len(session.run(self.tf.report_uninitialized_variables()))

    def read_graph(self, path):
        """The `GraphDef` in a file."""
        graph_def = self.tf.GraphDef()
        with self.tf.gfile.GFile(path, "rb") as source:
            graph_def.ParseFromString(source.read())
        return graph_def

    def freeze(self, session, path):
        """Writes the model with its variables as constants, without training, for any device."""
        tf, output = self.tf, classifier.PREDICTIONS.split(":")[0]
        frozen = tf.graph_util.convert_variables_to_constants(
            session, self.graph.as_graph_def(), [output]
        )
        for node in frozen.node:
            node.device = ""
        with tf.gfile.GFile(path, "wb") as target:
            target.write(frozen.SerializeToString())
        return frozen

    def _train_feed(self, number):
        model, training = classifier.find(self.graph), classifier.find_training(self.graph)
        batch = slice(number * BATCH_SIZE, (number + 1) * BATCH_SIZE)
        return {
            model.inputs: self._x[batch],
            training.labels: self._y[batch],
            training.switch: True,
        }


def claim_answers(predictions):
    """Claims that the first two predictions, bool [rows, 1], are the seed's answers."""
    for name, expected, found in zip(("0 to 9", "ten fives"), classifier.ANSWERS, predictions):
        claim.state("the answer for {}".format(name), expected, bool(found[0]))


def note(text):
    """Marks something that the reader of the report should know."""
    print(text)
    marker.emit("note", text=text)


def files(directory):
    """Names of the files below a directory, in order; none if it is not there."""
    return sorted(name for _, _, names in os.walk(directory) for name in names)
