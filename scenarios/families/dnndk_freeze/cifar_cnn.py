"""The CIFAR-10 network that the scripts beside this one train, save, freeze and run.

Small, with dropout and batch normalisation, so that the learning phase shows in its predictions,
and with a shortcut around a block of layers: a tensor that waits for its second consumer is what
swapping moves in a graph that only predicts.
"""

import typing

from common import data
from common.runtime import Runtime
from workload.dropout import of_phase
from workload.keras_model import KerasWorkload

BATCH_SIZE = 32
SHAPE = (32, 32, 3)
FILTERS = 16
TRAIN_IMAGES = 256
TEST_IMAGES = 128


class CifarCnn(KerasWorkload):
    """The model and its data, in sessions."""

    batch_size = BATCH_SIZE
    epochs = 2

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        images = data.load_cifar10(self.phase.data_directory, TRAIN_IMAGES, TEST_IMAGES)
        started.report(data=images.name)
        self.x_train = self.examples(data.scaled(images.x_train))
        self.y_train = self.examples(data.one_hot(images.y_train))
        self.x_test = self.examples(data.scaled(images.x_test))
        self.y_test = self.examples(data.one_hot(images.y_test))

    def make(self) -> typing.Any:
        """The compiled model, with initial weights."""
        layers = self.keras.layers
        dropout = of_phase(self.keras, self.phase)
        images = layers.Input(SHAPE)
        stem = layers.MaxPooling2D((2, 2))(self._block(images, FILTERS))
        body = dropout(0.2, seed=1)(self._block(stem, FILTERS))
        joined = layers.Add()([stem, self._block(body, FILTERS)])
        dense = layers.Dense(64, activation="relu")(
            layers.Flatten()(layers.MaxPooling2D((4, 4))(joined))
        )
        scores = layers.Dense(data.CLASSES, activation="softmax")(dropout(0.4, seed=2)(dense))
        model = self.keras.models.Model(images, scores)
        model.compile(
            loss="categorical_crossentropy",
            optimizer=self.keras.optimizers.Adam(),
            metrics=["accuracy"],
        )
        _complete(model)
        return model

    def load_model(self, path: str, callbacks: typing.Iterable[typing.Any]) -> typing.Any:
        """The model as a whole-model file has it; the callbacks see it before its weights do."""
        completion = self.keras.callbacks.LambdaCallback()
        completion.set_model = _complete
        return super().load_model(path, [completion, *callbacks])

    def _block(self, images: typing.Any, filters: int) -> typing.Any:
        layers = self.keras.layers
        convolved = layers.Conv2D(filters, (3, 3), padding="same")(images)
        return layers.Activation("relu")(layers.BatchNormalization(momentum=0.8)(convolved))


def _complete(model: typing.Any) -> None:
    """Adds to the graph what evaluating and predicting need, before LMS edits it.

    For a function that is made later TensorFlow 2 puts a mark on operations that a session has
    run. It changes nothing, but it is a late change of operations that LMS has rewired.
    """
    model._make_test_function()
    model._make_predict_function()
