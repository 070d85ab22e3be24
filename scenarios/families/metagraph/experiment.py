"""What the scripts beside this one share: data, sessions, evaluation, and the evidence."""

import contextlib
import json
import os
import time

from common import claim, data, digest, history, marker, runtime, step
from common.phase import refuse
from families.metagraph import convnet, swap_operations
from lms import provider

EPOCHS = 5
BATCH_SIZE = 64
# All test images at once would be too many of MNIST's.
TEST_BATCH = 1000
FIXED_BATCH = 16

CHECKPOINTS = "checkpoints"
UNSWAPPED = "unswapped.meta"
RESULTS = "epochs.json"


def run(script, kind=None):
    """Runs `script(experiment)` as a phase; kind: a class in place of `Experiment`."""
    runtime.execute(lambda started: script((kind or Experiment)(started)))


class Experiment(object):
    """The data, sessions, and what is measured in them.

    results: `{epoch: (accuracy, loss)}` on the test images, numpy float32, of this phase.
    """

    def __init__(self, started):
        """started: the `Runtime`."""
        self.runtime = started
        self.tf = started.tf
        self.results = {}
        digits = data.load(started.phase.data_directory)
        started.report(data=digits.name)
        self.x_train, self.y_train = _scaled(digits.x_train), digits.y_train.astype("int32")
        self.x_test, self.y_test = _scaled(digits.x_test), digits.y_test.astype("int32")
        for name in ("x_train", "y_train", "x_test", "y_test"):
            array = getattr(self, name)
            print("{} {} # {}".format(array.shape, array.dtype, name))
        self._step_ms = []
        self._noted = False

    def lms(self, training=True):
        """The LMS callback; `training=False` where the model will only predict."""
        return provider.create(self.runtime, training=training, batch_size=BATCH_SIZE)

    @contextlib.contextmanager
    def accelerated_graph(self):
        """A fresh default graph, its seed set, whose operations are the accelerator's."""
        with self.tf.Graph().as_default() as graph:
            self.tf.set_random_seed(runtime.SEED)
            with self.tf.device(self.runtime.phase.accelerator_device):
                yield graph

    def session(self, graph):
        """A session of its own for a graph."""
        config = runtime.session_config(self.tf, self.runtime.phase)
        return self.tf.Session(graph=graph, config=config)

    def checkpoint_prefix(self):
        """Where checkpoints are saved: each adds `-<epoch>`."""
        return self.runtime.phase.output(CHECKPOINTS, "epoch")

    def unswapped_meta_graph(self):
        """Where the graph is saved as it is before LMS edits it."""
        return self.runtime.phase.output(UNSWAPPED)

    def checkpoint(self, epoch):
        """Path of the earlier phase's checkpoint of an epoch, without what its files add."""
        return self.runtime.phase.input(CHECKPOINTS, "epoch-{}".format(epoch))

    def meta_graph(self, epoch):
        """Path of the meta graph to import for an epoch.

        It is the one saved with the epoch, and that has the swap operations in it: whoever
        imports it swaps. So with LMS off it is the graph of before the edit, which fits every
        epoch's checkpoint.
        """
        if self.runtime.phase.provider == "off":
            if not self._noted:
                marker.emit("note", text="LMS is off: the graph of before the edit is imported")
                self._noted = True
            return self.runtime.phase.input(UNSWAPPED)
        return self.checkpoint(epoch) + ".meta"

    def train_epoch(self, session, epoch):
        """One pass over the training images, in an order that the epoch's number gives."""
        import numpy as np

        order = np.random.RandomState(epoch).permutation(len(self.x_train))
        for start in range(0, len(order), BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            started = time.perf_counter()
            session.run(convnet.TRAIN, self._fed(self.x_train[chosen], self.y_train[chosen]))
            self._step_ms.append((time.perf_counter() - started) * 1000.0)

    def evaluate(self, session, epoch):
        """Measures accuracy and loss on all test images, prints and marks them."""
        import numpy as np

        fetches, sums = [convnet.ACCURACY, convnet.CROSS_ENTROPY], np.zeros(2)
        for start in range(0, len(self.x_test), TEST_BATCH):
            part = slice(start, start + TEST_BATCH)
            values = session.run(fetches, self._fed(self.x_test[part], self.y_test[part]))
            sums += np.array(values, "float64") * len(self.x_test[part])
        accuracy, loss = (np.float32(total / len(self.x_test)) for total in sums)
        self.results[epoch] = accuracy, loss
        print("{}, {:.3f}, {:.5f}".format(epoch, accuracy, loss))
        history.emit_metrics({"accuracy": accuracy, "loss": loss}, epoch=epoch, split="test")

    def digest(self, session, stage):
        """Marks what the session holds: weights, the optimizer's state, predictions.

        stage: `'saved'` or `'restored'`.
        """
        if not self.runtime.phase.evidence:
            return
        keys = self.tf.GraphKeys
        weights = session.graph.get_collection(keys.TRAINABLE_VARIABLES)
        names = {variable.name for variable in weights}
        every = session.graph.get_collection(keys.GLOBAL_VARIABLES)
        others = [variable for variable in every if variable.name not in names]
        digest.arrays("weights", stage, session.run(weights))
        digest.arrays("optimizer", stage, session.run(others))
        self._digest_predictions(session, stage)

    def finish(self, session, role):
        """Marks the final predictions and the record of one step; training changes the weights.

        role: `'train'` or `'predict'`, what the phase did with the model.
        """
        if not self.runtime.phase.evidence:
            return
        self._digest_predictions(session, "final")
        batch = slice(0, BATCH_SIZE)
        if role == "train":
            fetches, images, labels = convnet.TRAIN, self.x_train, self.y_train
        else:
            fetches = [convnet.ACCURACY, convnet.CROSS_ENTROPY]
            images, labels = self.x_test, self.y_test
        fed = self._fed(images[batch], labels[batch])
        step.trace_session(
            self.runtime,
            role,
            lambda **tracing: session.run(fetches, fed, **tracing),
            history.median(self._step_ms),
        )

    def save_results(self):
        """Leaves the results of all epochs for the phase that loads, to print beside its own."""
        content = {epoch: [float(value) for value in self.results[epoch]] for epoch in self.results}
        with open(self.runtime.phase.output(RESULTS), "w") as file:
            json.dump(content, file)

    def saved_epochs(self):
        """The epochs that the earlier phase saved, in order."""
        return sorted(self._saved_results())

    def print_side_by_side(self):
        """Prints accuracy and loss of each epoch as trained and as loaded, every digit."""
        print("epoch | test accuracy: trained, loaded | test loss: trained, loaded")
        saved = self._saved_results()
        for epoch in sorted(self.results):
            pairs = list(zip(saved[epoch], (float(value) for value in self.results[epoch])))
            equal = all(before == after for before, after in pairs)
            words = " | ".join("{:.9g}, {:.9g}".format(*pair) for pair in pairs)
            print("{} | {} | {}".format(epoch, words, "equal" if equal else "DIFFERENT"))

    def claim_saved(self, graph):
        """Claims what the checkpoint directory holds, and that every meta graph has the swaps."""
        directory = os.path.dirname(self.checkpoint_prefix())
        files = sorted(os.listdir(directory))
        parts = ("data-00000-of-00001", "index", "meta")
        expected = ["epoch-{}.{}".format(e, part) for e in self.results for part in parts]
        claim.state(
            "files of all checkpoints",
            expected=" ".join(sorted(["checkpoint"] + expected)),
            found=" ".join(files),
        )
        for epoch in sorted(self.results):
            path = "{}-{}.meta".format(self.checkpoint_prefix(), epoch)
            claim.state(
                "swap operations in epoch-{}.meta are those of the training graph".format(epoch),
                expected=swap_operations.of_graph(graph),
                found=swap_operations.of_meta_graph(swap_operations.read(self.tf, path)),
            )
        untrained, trained = (self.results[e][0] for e in (min(self.results), max(self.results)))
        for text, found in (
            ("test accuracy before training is that of a guess, below 0.25", untrained < 0.25),
            # Of MNIST one pass is enough for 0.9; the shipped digits are forty times fewer.
            ("test accuracy after the last epoch is above 0.75", trained > 0.75),
        ):
            claim.state(text, expected=True, found=bool(found))

    def claim_imported(self, graph, epoch):
        """Claims that the graph is what its file says, no more and no less."""
        meta_graph = swap_operations.read(self.tf, self.meta_graph(epoch))
        claim.state(
            "swap operations after the import of epoch {} are those of its file".format(epoch),
            expected=swap_operations.of_meta_graph(meta_graph),
            found=swap_operations.of_graph(graph),
        )
        claim.state(
            "operations that epoch {} was reconstructed with, beside the imported".format(epoch),
            expected=0,
            found=len(graph.get_operations()) - len(meta_graph.graph_def.node),
        )

    def _saved_results(self):
        path = self.runtime.phase.input(RESULTS)
        if not os.path.isfile(path):
            refuse("{} is not in INPUT_DIR: the phase that trains leaves it there".format(RESULTS))
        with open(path) as file:
            return {int(epoch): values for epoch, values in json.load(file).items()}

    def _digest_predictions(self, session, stage):
        values = session.run(convnet.LOGITS, {convnet.IMAGES: self.x_test[:FIXED_BATCH]})
        digest.predictions(values, stage)

    @staticmethod
    def _fed(images, labels):
        return {convnet.IMAGES: images, convnet.LABELS: labels}


def _scaled(images):
    """float32 [n, 28, 28, 1] in 0..1 of uint8 [n, 28, 28]."""
    return images[..., None].astype("float32") / 255.0
