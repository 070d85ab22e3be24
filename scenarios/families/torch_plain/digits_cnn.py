"""The network that the scripts beside this one train, save and load.

Layers are those of torch's own example `mnist/main.py`, with three times the units in the first
linear layer and no dropout: its optimizer's state is 27 MiB, more than what allocators of a GPU
differ by.
"""

import typing

from common import data
from common.runtime import Runtime
from workload.torch_model import TorchWorkload

_SIDE = 28
_HIDDEN = 384
# With a last batch that is smaller than the others.
_TRAIN_IMAGES, _TEST_IMAGES = 448, 192


class DigitsCnn(TorchWorkload):
    """The network and its data."""

    batch_size = 256

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        digits = data.load(self.phase.data_directory)
        started.report(data=digits.name)
        self.x_train, self.y_train = self._used(digits.x_train, digits.y_train, _TRAIN_IMAGES)
        self.x_test, self.y_test = self._used(digits.x_test, digits.y_test, _TEST_IMAGES)

    def make(self) -> typing.Any:
        """The module as code makes it, with initial weights."""
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * 12 * 12, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, data.CLASSES),
        )

    def _used(
        self, images: typing.Any, labels: typing.Any, most: int
    ) -> typing.Tuple[typing.Any, typing.Any]:
        """The first images, float32 [images, 1, 28, 28], and their labels."""
        scaled = data.scaled(images[:most]).reshape(-1, 1, _SIDE, _SIDE)
        return self.examples(scaled), self.examples(labels[:most].astype("int64"))
