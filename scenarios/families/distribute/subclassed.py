"""A model that is a subclass of `keras.Model`: it has no shapes before it is called."""

import typing

from common.runtime import Runtime
from families.distribute.mnist_cnn import MnistCnn

UNITS = 5
VECTORS = 100
BATCH_SIZE = 4


class Subclassed(MnistCnn):
    """A model of one dense layer that learns to repeat a vector of 5 numbers."""

    epochs = 2

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        vector = self.tf.range(UNITS, dtype=self.tf.float32)
        vectors = self.tf.data.Dataset.from_tensors((vector, vector)).repeat(VECTORS)
        self.batch_size = BATCH_SIZE
        self.train_dataset = vectors.batch(BATCH_SIZE)

    @property
    def fixed_batch(self) -> typing.Any:
        """float32 [2, 5]: the vectors whose predictions are compared."""
        import numpy as np

        return np.arange(2 * UNITS, dtype="float32").reshape(2, UNITS)

    def make(self) -> typing.Any:
        """The model, neither built nor compiled."""
        return _class(self.keras)()

    def compile(self, model: typing.Any) -> None:
        """As in `Workload`."""
        model.compile(optimizer="adam", loss="mean_squared_error")

    def traced(self) -> str:
        """Path of the model that was saved after `fit` had traced it.

        In a reference it is one that was saved here after one step: without its class, a model is
        loaded as functions of the file, which no model that code makes has.
        """
        path = self.input("traced")
        if self.phase.reference:
            model = self.build()
            self.compile(model)
            model.fit(self.train_dataset.take(1), epochs=1, verbose=0)
            model.save(path)
        return path


def refusal(save: typing.Callable[[], typing.Any]) -> typing.Optional[str]:
    """Name of the class of what `save()` raises, or None; prints the message."""
    try:
        save()
    except Exception as problem:
        print(f"{type(problem).__name__}: {str(problem).splitlines()[0]}")
        return type(problem).__name__
    return None


def _class(keras: typing.Any) -> typing.Any:
    class SubclassedModel(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._dense_layer = keras.layers.Dense(UNITS, name="output_layer")

        def call(self, inputs: typing.Any) -> typing.Any:
            return self._dense_layer(inputs)

    return SubclassedModel
