"""Metrics of training as markers, and how long its steps took."""

import time

from . import marker

# Keras called it `acc` before 2.3; the field's word is the long one.
_METRICS = {"loss": "loss", "acc": "accuracy", "accuracy": "accuracy"}


def create(keras):
    """A `History` that is a callback of this Keras."""
    return type("History", (History, keras.callbacks.Callback), {})()


class History(object):
    """Marks loss and accuracy at the end of each epoch, counted from 1.

    step_ms: wall time of each training step in milliseconds.
    """

    def __init__(self):
        super(History, self).__init__()
        self.step_ms = []
        self._started = None

    def on_batch_begin(self, batch, logs=None):
        """Called by Keras."""
        self._started = time.perf_counter()

    def on_batch_end(self, batch, logs=None):
        """Called by Keras."""
        self.step_ms.append((time.perf_counter() - self._started) * 1000.0)

    def on_epoch_end(self, epoch, logs=None):
        """Called by Keras."""
        emit_metrics(logs or {}, epoch=epoch + 1, split="train")


def emit_metrics(values, epoch, split):
    """Marks the losses and accuracies in a dict of Keras' names."""
    for name, value in sorted(values.items()):
        if name in _METRICS:
            marker.emit("metric", name=_METRICS[name], value=float(value), epoch=epoch, split=split)


def median(values):
    """Median of numbers, or None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
