"""The deep and wide network that the scripts beside this one train, save and load.

A stack of equal convolutions, each as wide as the one before, under a head of a few numbers: what a
training step holds is their activations, and hardly anything else. Without swapping it holds all
of them at once, with it those of a few layers. Plain layers alone: nothing is drawn at random, and
nothing is kept from one step to the next but weights and the optimizer's momenta.

    PROOF_CHANNELS   channels of each convolution, at least 1; 256 on a GPU, 8 without one

Swapping hides behind arithmetic where a layer computes for as long as its bytes are on the bus.
Each number of its output takes 54 operations a channel (3 x 3 weights, a multiplication and an
addition each, forward and twice backward) and 4 bytes each way, so a GPU gets a wide model. A CPU
gets a narrow one and more images, which hold as much and cost less.

So deep that its activations outweigh what TensorFlow's convolution works in on a CPU, swapped or
not: 30 MiB, whatever the batch (`target_working_set_size` of conv_grad_filter_ops.cc).
"""

import typing

from common import data, parameter
from common.runtime import Runtime
from common.steps import batches
from workload.keras_model import FIXED_BATCH, KerasWorkload

_SIDE = 28
_CONVOLUTIONS = 24
_CHANNELS, _GPU_CHANNELS = 8, 256
# Channels x images of a batch: its activations are as large at each width.
_BATCH_CHANNELS = 1024
# Of an epoch. On a GPU a step is timed, and the first one is slower: more have to follow.
_BATCHES, _GPU_BATCHES = 2, 6
_LEARNING_RATE, _MOMENTUM = 0.05, 0.9


class ProofCnn(KerasWorkload):
    """The model and its data, in every mode and on every backend.

    channels: of each convolution.
    """

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        default = _GPU_CHANNELS if self.phase.on_gpu else _CHANNELS
        self.channels = parameter.number("PROOF_CHANNELS", default)
        self.batch_size *= max(1, _BATCH_CHANNELS // self.channels)
        digits = data.load(self.phase.data_directory)
        started.report(data=digits.name)
        trained = (_GPU_BATCHES if self.phase.on_gpu else _BATCHES) * self.batch_size
        tested = batches(FIXED_BATCH, self.batch_size) * self.batch_size
        self.x_train, self.y_train = _taken(digits.x_train, digits.y_train, trained)
        self.x_test, self.y_test = _taken(digits.x_test, digits.y_test, tested)

    @property
    def file(self) -> str:
        """Name of the saved model: in Keras' own format, or HDF5 where Keras is older than that."""
        return "model.h5" if self.phase.mode == "session" else "model.keras"

    def make(self) -> typing.Any:
        """The model as code makes it, with initial weights."""
        layers = self.keras.layers
        model = self.keras.models.Sequential()
        for number in range(_CONVOLUTIONS):
            shape = {} if number else {"input_shape": (_SIDE, _SIDE, 1)}
            # Of He et al., 2015: variances, and with them gradients, stay what they are through
            # any number of such layers.
            model.add(
                layers.Conv2D(
                    self.channels,
                    (3, 3),
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                    **shape,
                )
            )
        model.add(layers.GlobalAveragePooling2D())
        model.add(layers.Dense(data.CLASSES, activation="softmax"))
        model.compile(
            loss="categorical_crossentropy",
            optimizer=self.keras.optimizers.SGD(_LEARNING_RATE, momentum=_MOMENTUM),
            metrics=["accuracy"],
        )
        return model


def _taken(
    images: typing.Any, labels: typing.Any, count: int
) -> typing.Tuple[typing.Any, typing.Any]:
    """So many images, float32 [count, 28, 28, 1], and their labels, float32 [count, classes].

    The data set from its beginning, again and again.
    """
    import numpy as np

    which = np.arange(count) % len(images)
    return data.scaled(images[which]), data.one_hot(labels[which])
