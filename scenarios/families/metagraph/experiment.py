"""What the scripts beside this one share: data, training and evaluation of a graph by its names."""

import contextlib
import json
import os
import typing

from common import data, marker, metrics, runtime
from common.errors import refuse
from common.runtime import Runtime
from families.metagraph import convnet, swap_operations
from workload.graph_model import Feed, Fetches, GraphWorkload

EPOCHS = 5
BATCH_SIZE = 64
# All test images at once would be too many of MNIST's.
TEST_BATCH = 1000
FIXED_BATCH = 16

CHECKPOINTS = "checkpoints"
UNSWAPPED = "unswapped.meta"
RESULTS = "epochs.json"


class Experiment(GraphWorkload):
    """The data, and what is measured in sessions.

    results: `{epoch: (accuracy, loss)}` on the test images, numpy float32, of this phase.
    """

    batch_size = BATCH_SIZE

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self.results: typing.Dict[int, typing.Tuple[typing.Any, typing.Any]] = {}
        digits = data.load(self.phase.data_directory)
        started.report(data=digits.name)
        self.x_train, self.y_train = data.scaled(digits.x_train), digits.y_train.astype("int32")
        self.x_test, self.y_test = data.scaled(digits.x_test), digits.y_test.astype("int32")
        for name in ("x_train", "y_train", "x_test", "y_test"):
            array = getattr(self, name)
            print(f"{array.shape} {array.dtype} # {name}")
        self._noted = False

    @contextlib.contextmanager
    def accelerated_graph(self) -> typing.Iterator[typing.Any]:
        """A fresh default graph, its seed set, whose operations are the accelerator's."""
        with self.tf.Graph().as_default() as graph:
            self.tf.set_random_seed(runtime.SEED)
            with self.tf.device(self.phase.accelerator_device):
                yield graph

    def checkpoint_prefix(self) -> str:
        """Where checkpoints are saved: each adds `-<epoch>`."""
        return self.output(CHECKPOINTS, "epoch")

    def unswapped_meta_graph(self) -> str:
        """Where the graph is saved as it is before LMS edits it."""
        return self.output(UNSWAPPED)

    def checkpoint(self, epoch: int) -> str:
        """Path of the earlier phase's checkpoint of an epoch, without what its files add."""
        return self.input(CHECKPOINTS, f"epoch-{epoch}")

    def meta_graph(self, epoch: int) -> str:
        """Path of the meta graph to import for an epoch.

        It is the one saved with the epoch, and that has the swap operations in it: whoever
        imports it swaps. So with LMS off it is the graph of before the edit, which fits every
        epoch's checkpoint.
        """
        if self.phase.provider == "off":
            if not self._noted:
                marker.note("LMS is off: the graph of before the edit is imported")
                self._noted = True
            return self.input(UNSWAPPED)
        return self.checkpoint(epoch) + ".meta"

    def train_epoch(self, session: typing.Any, epoch: int) -> None:
        """One pass over the training images, in an order that the epoch's number gives.

        With larger batches there are as many steps: fewer would not train the net.
        """
        import numpy as np

        images = len(self.x_train)
        drawn = np.random.RandomState(epoch).permutation(images * self.phase.batch_scale)
        order = drawn % images
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            feed = self._feed(self.x_train[chosen], self.y_train[chosen])
            self.timed_run(session, convnet.TRAIN, feed)

    def evaluate(self, session: typing.Any, epoch: int) -> None:
        """Measures accuracy and loss on all test images, prints and marks them."""
        import numpy as np

        fetches, sums = [convnet.ACCURACY, convnet.CROSS_ENTROPY], np.zeros(2)
        for start in range(0, len(self.x_test), TEST_BATCH):
            batch = slice(start, start + TEST_BATCH)
            values = session.run(fetches, self._feed(self.x_test[batch], self.y_test[batch]))
            self.runtime.steps.ran("predict")
            sums += np.array(values, "float64") * len(self.x_test[batch])
        accuracy, loss = (np.float32(total / len(self.x_test)) for total in sums)
        self.results[epoch] = accuracy, loss
        print(f"{epoch}, {accuracy:.3f}, {loss:.5f}")
        metrics.mark({"accuracy": accuracy, "loss": loss}, epoch=epoch, split="test")

    def predictions(self, model: typing.Any) -> typing.Any:
        """As in `Workload`."""
        return model.run(convnet.LOGITS, {convnet.IMAGES: self.x_test[:FIXED_BATCH]})

    def step(self, role: str) -> typing.Tuple[Fetches, Feed]:
        """A training step, or the evaluation, of one batch."""
        train = role == "train"
        images, labels = (
            self.examples(array)[: self.batch_size]
            for array in ((self.x_train, self.y_train) if train else (self.x_test, self.y_test))
        )
        fetches = convnet.TRAIN if train else [convnet.ACCURACY, convnet.CROSS_ENTROPY]
        return fetches, self._feed(images, labels)

    def save_results(self) -> None:
        """Leaves the results of all epochs for the phase that loads, to print beside its own."""
        content = {epoch: [float(value) for value in self.results[epoch]] for epoch in self.results}
        with open(self.output(RESULTS), "w") as file:
            json.dump(content, file)

    def saved_epochs(self) -> typing.List[int]:
        """The epochs that the earlier phase saved, in order."""
        return sorted(self._saved_results())

    def print_side_by_side(self) -> None:
        """Prints accuracy and loss of each epoch as trained and as loaded, every digit."""
        print("epoch | test accuracy: trained, loaded | test loss: trained, loaded")
        saved = self._saved_results()
        for epoch in sorted(self.results):
            pairs = list(zip(saved[epoch], (float(value) for value in self.results[epoch])))
            equal = all(before == after for before, after in pairs)
            words = " | ".join(f"{before:.9g}, {after:.9g}" for before, after in pairs)
            print(f"{epoch} | {words} | {'equal' if equal else 'DIFFERENT'}")

    def claim_saved(self, graph: typing.Any) -> None:
        """Claims what the checkpoint directory holds, and that every meta graph has the swaps."""
        directory = os.path.dirname(self.checkpoint_prefix())
        suffixes = ("data-00000-of-00001", "index", "meta")
        expected = [f"epoch-{epoch}.{suffix}" for epoch in self.results for suffix in suffixes]
        marker.claim(
            "files of all checkpoints",
            expected=" ".join(sorted(["checkpoint", *expected])),
            found=" ".join(sorted(os.listdir(directory))),
        )
        for epoch in sorted(self.results):
            path = f"{self.checkpoint_prefix()}-{epoch}.meta"
            marker.claim(
                f"swap operations in epoch-{epoch}.meta are those of the training graph",
                expected=swap_operations.of_graph(graph),
                found=swap_operations.of_meta_graph(swap_operations.read(self.tf, path)),
            )
        untrained, trained = (self.results[e][0] for e in (min(self.results), max(self.results)))
        for text, found in (
            ("test accuracy before training is that of a guess, below 0.25", untrained < 0.25),
            # Of MNIST one pass is enough for 0.9; the shipped digits are forty times fewer.
            ("test accuracy after the last epoch is above 0.75", trained > 0.75),
        ):
            marker.claim(text, expected=True, found=bool(found))

    def claim_imported(self, graph: typing.Any, epoch: int) -> None:
        """Claims that the graph is what its file says, no more and no less."""
        meta_graph = swap_operations.read(self.tf, self.meta_graph(epoch))
        marker.claim(
            f"swap operations after the import of epoch {epoch} are those of its file",
            expected=swap_operations.of_meta_graph(meta_graph),
            found=swap_operations.of_graph(graph),
        )
        marker.claim(
            f"operations that epoch {epoch} was reconstructed with, beside the imported",
            expected=0,
            found=len(graph.get_operations()) - len(meta_graph.graph_def.node),
        )

    def _saved_results(self) -> typing.Dict[int, typing.List[float]]:
        path = self.input(RESULTS)
        if not os.path.isfile(path):
            refuse(f"{RESULTS} is not in INPUT_DIR: the phase that trains leaves it there")
        with open(path) as file:
            return {int(epoch): values for epoch, values in json.load(file).items()}

    @staticmethod
    def _feed(images: typing.Any, labels: typing.Any) -> Feed:
        return {convnet.IMAGES: images, convnet.LABELS: labels}
