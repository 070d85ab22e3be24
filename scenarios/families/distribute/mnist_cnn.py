"""The model that the scripts beside this one train on replicas, save and load.

Layers and hyperparameters are those of TensorFlow's tutorial "Save and load a model using a
distribution strategy"; one epoch on a few hundred images takes the place of its two on MNIST.
"""

import typing

from common import data, digest, marker, metrics
from common.runtime import Runtime
from meters import trace
from workload.keras_model import FIXED_BATCH, KerasWorkload

BATCH_SIZE_PER_REPLICA = 64
IMAGES = 512  # to train on
EVALUATED = 256  # images of the test set
SEED = 1
DEFAULT_FUNCTION_KEY = "serving_default"


class MnistCnn(KerasWorkload):
    """The model, its data and the strategies. Every script opens the scope of its own strategy.

    device: the first accelerator. replicas: accelerators of the phase.
    train_dataset: batches of images and labels for all replicas.
    predict_dataset: batches of test images for all replicas.
    """

    placed = False
    batch_size = BATCH_SIZE_PER_REPLICA

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self.replicas = self.phase.replicas
        self.device = self.phase.accelerator_device
        digits = data.load(self.phase.data_directory)
        started.report(data=digits.name)
        self.batch_size *= self.replicas
        self.x_test = self.examples(data.scaled(digits.x_test[:EVALUATED]))
        self._labels = self.examples(digits.y_test[:EVALUATED])
        sliced = self.tf.data.Dataset.from_tensor_slices
        images = self.examples(data.scaled(digits.x_train[:IMAGES]))
        labels = self.examples(digits.y_train[:IMAGES].astype("int64"))
        train = sliced((images, labels)).cache()
        # The same order in every epoch: it is no state that a file could hold.
        shuffled = train.shuffle(len(images), seed=SEED, reshuffle_each_iteration=False)
        self.train_dataset = shuffled.batch(self.batch_size)
        self.predict_dataset = sliced(self.x_test).batch(self.batch_size)

    def mirrored_strategy(self) -> typing.Any:
        """A `MirroredStrategy` over all accelerators of the phase."""
        return self.tf.distribute.MirroredStrategy(self.phase.accelerator_devices)

    def make(self) -> typing.Any:
        """The model as code makes it, with initial weights, compiled."""
        layers = self.keras.layers
        model = self.keras.Sequential(
            [
                layers.Conv2D(32, 3, activation="relu", input_shape=(28, 28, 1)),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(64, activation="relu"),
                layers.Dense(data.CLASSES),
            ]
        )
        self.compile(model)
        return model

    def compile(self, model: typing.Any) -> None:
        """Compiles a model that gives logits of the ten digits."""
        model.compile(
            loss=self.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=self.keras.optimizers.Adam(),
            metrics=[self.keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    def fit(
        self, model: typing.Any, callbacks: typing.List[typing.Any], epochs: int, done: int
    ) -> None:
        """Trains on `train_dataset`."""
        dataset = self.train_dataset
        model.fit(dataset, epochs=epochs, initial_epoch=done, verbose=2, callbacks=callbacks)

    def evaluate(self, model: typing.Any) -> None:
        """Nothing is measured: what was trained is compared by its predictions."""

    def predictions(self, model: typing.Any) -> typing.Any:
        """As in `Workload`."""
        return model.predict_on_batch(self.fixed_batch)

    def trace(self, model: typing.Any, role: str) -> None:
        """Marks the record of one training step, of what was trained on last."""
        one_step = self.train_dataset.take(1)
        trace.train(
            self.runtime,
            model,
            None,
            None,
            self.step_ms,
            run=lambda: model.fit(one_step, epochs=1, verbose=0),
            batch=self.batch_size,
        )

    def load_object(self, path: str) -> typing.Any:
        """What `tf.saved_model.load` gives, to be called as a layer.

        In a reference it is one that was saved here, with initial weights: only a file makes such
        an object.
        """
        if self.phase.reference:
            self.tf.saved_model.save(self.build(), path)
        return self.tf.saved_model.load(path)

    def inference_func(self, loaded: typing.Any) -> typing.Any:
        """The inference function of an object of `tf.saved_model.load`, which is no Keras model.

        Claims that, and marks the object's weights.
        """
        is_model = isinstance(loaded, self.keras.Model)
        marker.claim("the loaded object is a Keras model", False, is_model)
        found = ", ".join(sorted(loaded.signatures))
        marker.claim("signatures of the loaded object", DEFAULT_FUNCTION_KEY, found)
        digest.arrays("weights", "restored", [entry.numpy() for entry in loaded.variables])
        return loaded.signatures[DEFAULT_FUNCTION_KEY]

    def finish_inference(self, logits: typing.Any) -> None:
        """Marks accuracy and predictions of inference by what was loaded.

        logits: float32 [images, 10] of the images of `predict_dataset`, in their order.
        """
        hits = logits.argmax(axis=1) == self._labels[: len(logits)]
        metrics.mark_accuracy(hits, epoch=self.epochs)
        digest.predictions(logits[:FIXED_BATCH], "restored")
