"""Metrics of training as markers, and how long its steps took."""

import time
import typing

from common import marker
from common.steps import Steps

# Keras called it `acc` before 2.3; the field's word is the long one.
_METRICS = {"loss": "loss", "acc": "accuracy", "accuracy": "accuracy"}


def history(keras: typing.Any, steps: Steps) -> "History":
    """A `History` that is a callback of this Keras. steps: where training steps are counted."""
    created: History = type("History", (History, keras.callbacks.Callback), {})(steps)
    return created


class History:
    """Marks loss and accuracy at the end of each epoch, counted from 1; a mixin of a callback.

    step_ms: wall time of each training step in milliseconds.
    """

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps
        self.step_ms: typing.List[float] = []
        self._started = 0.0

    def on_batch_begin(self, batch: int, logs: typing.Any = None) -> None:
        """Called by Keras."""
        self._started = time.perf_counter()

    def on_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Called by Keras."""
        self.step_ms.append((time.perf_counter() - self._started) * 1000.0)
        self._steps.ran("train")

    def on_epoch_end(self, epoch: int, logs: typing.Any = None) -> None:
        """Called by Keras."""
        mark(logs or {}, epoch=epoch + 1, split="train")


def mark(values: typing.Mapping[str, typing.Any], epoch: int, split: str) -> None:
    """Marks the losses and accuracies in a dict of Keras' names.

    epoch: counted from 1. split: `'train'` or `'test'`.
    """
    for name, value in sorted(values.items()):
        if name in _METRICS:
            marker.emit("metric", name=_METRICS[name], value=float(value), epoch=epoch, split=split)


def mark_accuracy(hits: typing.Any, epoch: int) -> None:
    """Prints and marks the accuracy on test images. hits: bool [images], which were right."""
    accuracy = hits.mean()
    print(f"Test accuracy: {accuracy}")
    mark({"accuracy": accuracy}, epoch=epoch, split="test")


def step_ms(steps: typing.Sequence[float]) -> typing.Optional[float]:
    """How long a step takes: the median without the first, or None where there is no other.

    steps: of one training, in their order. The first one compiles, traces, or fills caches.
    """
    ordered = sorted(steps[1:])
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
