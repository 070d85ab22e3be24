"""The MNIST model trained by Adam, whose every step depends on how many there were before."""

import typing

from families.keras_saveload.mnist_cnn import MnistCnn


def build(mnist: MnistCnn) -> typing.Any:
    """The model with Keras' Adam."""
    return mnist.build(optimizer="adam")


def file_name(mnist: MnistCnn) -> str:
    """Name of the file of the whole model, in a format that holds the optimizer's state."""
    return "adam.keras" if mnist.phase.keras3 else "adam.h5"


def reset_count(mnist: MnistCnn, model: typing.Any) -> None:
    """Sets the optimizer's count of steps to 0."""
    count = model.optimizer.iterations
    if mnist.phase.mode == "session":
        mnist.keras.backend.set_value(count, 0)
    else:
        count.assign(0)
