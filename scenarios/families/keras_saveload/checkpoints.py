"""Keras 3's callbacks that save while a model trains, and what their files have to hold."""

import json

from common import claim, digest

EPOCHS = 2
LAST = "epoch_{}.keras".format(EPOCHS)
BEST = "best.keras"
# A score that falls, so that the best file is not the last one, whatever the losses are.
MONITOR, MODE = "score", "max"
# Training ends when this epoch, counted from 1, is over.
INTERRUPTED_AFTER = 1
_STATE = "best.json"


class TrainingInterruptError(Exception):
    """Training was interrupted."""


def savers(mnist):
    """ModelCheckpoint of every epoch, and of the best one; before them, what gives the score."""
    create = mnist.keras.callbacks.ModelCheckpoint

    class Score(mnist.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs[MONITOR] = -float(epoch)

    return [
        Score(),
        create(mnist.output("epoch_{epoch}.keras")),
        create(mnist.output(BEST), monitor=MONITOR, mode=MODE, save_best_only=True),
    ]


def observer(mnist):
    """A callback that writes down what the model held at the end of its best epoch."""

    class Observer(mnist.keras.callbacks.Callback):
        best = float("-inf")

        def on_epoch_end(self, epoch, logs=None):
            if logs[MONITOR] > self.best:
                self.best = logs[MONITOR]
                with open(mnist.output(_STATE), "w") as file:
                    json.dump(dict(_state(mnist, self.model), epoch=epoch + 1), file)

    return Observer()


def claim_best(mnist, model):
    """States that a model is that of the best epoch: its weights, and its optimizer's state."""
    with open(mnist.input(_STATE)) as file:
        expected = json.load(file)
    claim.state("the best epoch is not the last", True, expected["epoch"] < EPOCHS)
    for name, found in sorted(_state(mnist, model).items()):
        claim.state("{} of the best epoch".format(name), expected[name], found)


def _state(mnist, model):
    def of(variables):
        return digest.of_arrays(digest.values(mnist.runtime, variables))

    return {"weights": of(model.weights), "optimizer": of(digest.optimizer_variables(model))}


def interruption(mnist):
    """A callback that interrupts training after an epoch."""

    class Interruption(mnist.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == INTERRUPTED_AFTER:
                raise TrainingInterruptError()

    return Interruption()


def resumption(mnist):
    """A callback that states where training resumes, and marks what is restored there."""

    class Resumption(mnist.keras.callbacks.Callback):
        resumed = False

        def on_epoch_begin(self, epoch, logs=None):
            if self.resumed:
                return
            self.resumed = True
            claim.state("epochs done before training resumes", INTERRUPTED_AFTER, epoch)
            mnist.digest_state(self.model, "restored")

    return Resumption()
