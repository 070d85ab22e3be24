"""A Keras model that is trained on arrays, in whatever mode and on whatever backend."""

import typing

from common import digest, metrics
from common.digest import Tensors
from common.runtime import Runtime
from common.steps import batches
from meters import trace
from providers import registry
from providers.interface import Provider
from workload import dropout, loading, signature
from workload.workload import Workload

# Predictions on these first test images are compared before the save and after the load.
FIXED_BATCH = 16


class KerasWorkload(Workload):
    """A Keras model, its images, and what the checks need.

    epochs: of training, where a script asks for no other number.
    x_train, y_train, x_test, y_test: float32 images and one-hot labels, set by a subclass.
    fixed_batch: the images whose predictions are compared; by default the first of `x_test`.
    """

    epochs = 1
    x_train: typing.Any
    y_train: typing.Any
    x_test: typing.Any
    y_test: typing.Any

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self._step_callbacks: typing.List[typing.Any] = []
        self._trained = self.epochs

    @property
    def fixed_batch(self) -> typing.Any:
        """The images whose predictions are compared."""
        return self.x_test[:FIXED_BATCH]

    @property
    def custom_objects(self) -> typing.Dict[str, typing.Any]:
        """The classes of ours that a file may name."""
        return {dropout.NAME: dropout.of_phase(self.keras, self.phase)}

    def build(self, **options: typing.Any) -> typing.Any:
        """The model as `make` makes it, in the context that the provider has for that."""
        with registry.building(self.runtime):
            return self.make(**options)

    def make(self) -> typing.Any:
        """The compiled model as code makes it, with initial weights; a family may have options."""
        raise NotImplementedError

    def load_model(self, path: str, callbacks: typing.Iterable[typing.Any]) -> typing.Any:
        """The model as a whole-model file has it, shown to the callbacks; see `loading`.

        In a reference it is the model as code makes it, with all that a file of a trained one has.
        """
        if self.phase.reference:
            return loading.built(self.build(), callbacks, mode=self.phase.mode)
        classes = self.custom_objects
        return loading.load_model(self.keras, path, callbacks, classes, mode=self.phase.mode)

    def load_saved_model(self, path: str) -> typing.Any:
        """What `tf.saved_model.load` gives; in a reference, a model as code makes it in its stead.

        Where TensorFlow runs models as functions.
        """
        if self.phase.reference:
            return signature.Built(self.tf, self.build())
        return self.tf.saved_model.load(path)

    def load_weights(self, model: typing.Any, path: str) -> None:
        """Gives a model the weights of a file; in a reference it keeps its initial ones."""
        if not self.phase.reference:
            model.load_weights(path)

    def train(
        self,
        model: typing.Any,
        callbacks: typing.Sequence[typing.Any],
        epochs: typing.Optional[int] = None,
        done: int = 0,
    ) -> None:
        """Trains, marks the metrics of each epoch, and measures the model on the test images.

        epochs: how many there are to be. done: how many of them, or of as many more, the model has
            been trained before: its next one is that after these.
        """
        history = metrics.history(self.keras, self.runtime.steps)
        if self.phase.mode == "eager":
            # There LMS works in each step that it is called in, and in no other.
            self._step_callbacks = [entry for entry in callbacks if isinstance(entry, Provider)]
        self.fit(model, [*callbacks, history], done + (epochs or self.epochs), done)
        self.step_ms = metrics.step_ms(history.step_ms)
        self._trained = done + (epochs or self.epochs)
        self.evaluate(model)

    def fit(
        self, model: typing.Any, callbacks: typing.List[typing.Any], epochs: int, done: int
    ) -> None:
        """Trains the model on all of its images, in their order, from one epoch to another."""
        model.fit(
            self.x_train,
            self.y_train,
            batch_size=self.batch_size,
            epochs=epochs,
            initial_epoch=done,
            shuffle=False,
            verbose=2,
            callbacks=callbacks,
        )

    def evaluate(self, model: typing.Any) -> None:
        """Marks loss and accuracy on the test images."""
        named = self._evaluated(model)
        print(", ".join(f"test {name}: {value}" for name, value in named.items()))
        metrics.mark(named, epoch=self._trained, split="test")

    def _evaluated(self, model: typing.Any) -> typing.Dict[str, typing.Any]:
        """Loss and metrics on the test images, by Keras' names."""
        arguments = (self.x_test, self.y_test, self.batch_size)
        if self.phase.keras3:
            named: typing.Dict[str, typing.Any] = model.evaluate(
                *arguments, verbose=0, return_dict=True
            )
            return named
        return dict(zip(model.metrics_names, model.evaluate(*arguments, verbose=0)))

    def predict(self, model: typing.Any) -> None:
        """Predicts all test images and marks the accuracy."""
        values = model.predict(self.x_test, batch_size=self.batch_size, verbose=0)
        self.runtime.steps.ran("predict", batches(len(self.x_test), self.batch_size))
        self.mark_accuracy(values)

    def mark_accuracy(self, values: typing.Any) -> None:
        """Marks the accuracy of predictions, [images, classes], of all test images."""
        hits = values.argmax(axis=1) == self.y_test.argmax(axis=1)
        metrics.mark_accuracy(hits, epoch=self.epochs)

    def weights(self, model: typing.Any) -> Tensors:
        """As in `Workload`."""
        kept = dropout.generators(model)
        weights = [entry for entry in model.weights if not any(entry is other for other in kept)]
        return digest.of_variables(self.runtime, weights)

    def optimizer_state(self, model: typing.Any) -> Tensors:
        """As in `Workload`."""
        return digest.of_variables(self.runtime, digest.optimizer_variables(model))

    def random_state(self, model: typing.Any) -> Tensors:
        """As in `Workload`."""
        return digest.of_variables(self.runtime, dropout.generators(model))

    def predictions(self, model: typing.Any) -> typing.Any:
        """As in `Workload`."""
        return digest.predicted(self.runtime, model, self.fixed_batch)

    def trace(self, model: typing.Any, role: str) -> None:
        """As in `Workload`."""
        if role == "train":
            x, y = self.x_train[: self.batch_size], self.y_train[: self.batch_size]
            callbacks = self._step_callbacks
            trace.train(self.runtime, model, x, y, self.step_ms, callbacks=callbacks)
        else:
            trace.predict(self.runtime, model, self.x_test[: self.batch_size])
