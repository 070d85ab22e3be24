"""The MNIST model that the scripts beside this one train, save and load.

Layers and hyperparameters are those of the Keras example `mnist_cnn.py`, which TFLMS's own
save/load tests use too; its dropouts keep count of their masks.
"""

import typing

from common import data
from common.runtime import Runtime
from workload.dropout import of_phase
from workload.keras_model import KerasWorkload

BATCH_SIZE = 128
# Without a GPU: two whole batches and a smaller one, and one and a smaller one. What the checks
# compare takes no more, and a step takes a third of a second of a core.
_TRAIN_IMAGES, _TEST_IMAGES = 320, 192


class MnistCnn(KerasWorkload):
    """The model and its data, in every mode and on every backend."""

    batch_size = BATCH_SIZE

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        digits = data.load(self.phase.data_directory)
        started.report(data=digits.name)
        self.x_train = self._used(data.scaled(digits.x_train), _TRAIN_IMAGES)
        self.y_train = self._used(data.one_hot(digits.y_train), _TRAIN_IMAGES)
        self.x_test = self._used(data.scaled(digits.x_test), _TEST_IMAGES)
        self.y_test = self._used(data.one_hot(digits.y_test), _TEST_IMAGES)

    def make(self, compiled: bool = True, optimizer: typing.Any = None) -> typing.Any:
        """The model as code makes it, with initial weights.

        optimizer: a Keras or `tf.train` optimizer; by default Keras' Adadelta.
        """
        layers = self.keras.layers
        dropout = of_phase(self.keras, self.phase)
        model = self.keras.models.Sequential(
            [
                layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
                layers.Conv2D(64, (3, 3), activation="relu"),
                layers.MaxPooling2D((2, 2)),
                dropout(0.25, seed=1),
                layers.Flatten(),
                layers.Dense(128, activation="relu"),
                dropout(0.5, seed=2),
                layers.Dense(data.CLASSES, activation="softmax"),
            ]
        )
        if compiled:
            model.compile(
                loss="categorical_crossentropy",
                optimizer=optimizer or self._adadelta(),
                metrics=["accuracy"],
            )
        return model

    def checkpoint_optimizer(self) -> typing.Any:
        """An Adadelta whose state `tf.train.Checkpoint` saves: TensorFlow 1's own, or Keras'."""
        if self.phase.mode == "session":
            return self.tf.train.AdadeltaOptimizer()
        return self._adadelta()

    def make_slots(self, model: typing.Any) -> None:
        """Lets the optimizer make its variables, so that a checkpoint's values find them.

        In a graph they come with the train function.
        """
        if self.phase.mode == "function":
            model.optimizer.build(model.trainable_variables)

    def restore(self, checkpoint: typing.Any, name: str, complete: bool = True) -> None:
        """Restores the last `tf.train.Checkpoint` in a directory; in a reference, nothing.

        complete: whether all of the checkpoint has to be restored, or only all that there is.

        In a graph `restore` of TensorFlow only prepares operations, and they are run here.
        """
        if self.phase.reference:
            return
        status = checkpoint.restore(self._latest_checkpoint(name))
        matched = status.assert_consumed if complete else status.assert_existing_objects_matched
        matched()
        if self.phase.mode == "session":
            status.run_restore_ops(self.runtime.session)

    def _latest_checkpoint(self, name: str) -> str:
        """Path of the last checkpoint in a directory of the earlier phase's artifacts."""
        directory = self.input(name)
        path: typing.Optional[str] = self.tf.train.latest_checkpoint(directory)
        if path is None:
            # Restoring None does nothing, and says nothing.
            raise FileNotFoundError(f"no checkpoint in {directory}")
        return path

    def _adadelta(self) -> typing.Any:
        """Keras' Adadelta.

        With Keras 3 at the rate that was the default when the example was written: at its own, a
        thousandth of that, the few steps hardly change the model, and a wrong one would not show.
        """
        rate = {"learning_rate": 1.0} if self.phase.keras3 else {}
        return self.keras.optimizers.Adadelta(**rate)

    def _used(self, array: typing.Any, most: int) -> typing.Any:
        """What a phase uses of a data set.

        most: how much without a GPU.
        On jax the last batch is left out where it is smaller: the step would be compiled once more.
        """
        if self.phase.batch_scale == 1 and not self.phase.on_gpu:
            array = array[:most]
        array = self.examples(array)
        if self.phase.backend == "jax":
            array = array[: len(array) // self.batch_size * self.batch_size]
        return array
