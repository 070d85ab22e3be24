"""Keras 3's callbacks that save while a model trains, and what their files have to hold."""

import json
import typing

from common import digest, marker
from families.keras_saveload.mnist_cnn import MnistCnn

EPOCHS = 2
LAST = f"epoch_{EPOCHS}.keras"
BEST = "best.keras"
# A score that falls, so that the best file is not the last one, whatever the losses are.
MONITOR, MODE = "score", "max"
# Training ends when this epoch, counted from 1, is over.
INTERRUPTED_AFTER = 1
_STATE = "best.json"


class TrainingInterruptError(Exception):
    """Training was interrupted."""


def savers(mnist: MnistCnn) -> typing.List[typing.Any]:
    """ModelCheckpoint of every epoch, and of the best one; before them, what makes the score."""
    create = mnist.keras.callbacks.ModelCheckpoint

    class Score(mnist.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_end(self, epoch: int, logs: typing.Any = None) -> None:
            logs[MONITOR] = -float(epoch)

    return [
        Score(),
        create(mnist.output("epoch_{epoch}.keras")),
        create(mnist.output(BEST), monitor=MONITOR, mode=MODE, save_best_only=True),
    ]


def observer(mnist: MnistCnn) -> typing.Any:
    """A callback that writes down what the model held at the end of its best epoch."""

    class Observer(mnist.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        best = float("-inf")

        def on_epoch_end(self, epoch: int, logs: typing.Any = None) -> None:
            if logs[MONITOR] > self.best:
                self.best = logs[MONITOR]
                with open(mnist.output(_STATE), "w") as file:
                    json.dump(dict(_state(mnist, self.model), epoch=epoch + 1), file)

    return Observer()


def claim_best(mnist: MnistCnn, model: typing.Any) -> None:
    """Claims that a model is that of the best epoch: its weights, and its optimizer's state."""
    with open(mnist.input(_STATE)) as file:
        expected = json.load(file)
    marker.claim("the best epoch is not the last", True, expected["epoch"] < EPOCHS)
    for name, found in sorted(_state(mnist, model).items()):
        marker.claim(f"{name} of the best epoch", expected[name], found)


def _state(mnist: MnistCnn, model: typing.Any) -> typing.Dict[str, typing.Any]:
    return {
        "weights": digest.of_arrays(mnist.weights(model).values),
        "optimizer": digest.of_arrays(mnist.optimizer_state(model).values),
    }


def interruption(mnist: MnistCnn) -> typing.Any:
    """A callback that interrupts training after an epoch."""

    class Interruption(mnist.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_begin(self, epoch: int, logs: typing.Any = None) -> None:
            if epoch == INTERRUPTED_AFTER:
                raise TrainingInterruptError()

    return Interruption()


def resumption(mnist: MnistCnn) -> typing.Any:
    """A callback that claims where training resumes, and marks what is restored there."""

    class Resumption(mnist.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        resumed = False

        def on_epoch_begin(self, epoch: int, logs: typing.Any = None) -> None:
            if self.resumed:
                return
            self.resumed = True
            marker.claim("epochs done before training resumes", INTERRUPTED_AFTER, epoch)
            mnist.digest_state(self.model, "restored")

    return Resumption()
