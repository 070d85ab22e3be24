"""The CIFAR-10 network that the scripts beside this one train, save, freeze and run.

Small, with dropout and batch normalisation, so that the learning phase shows in its predictions,
and with a shortcut around a block of layers: a tensor that waits for its second consumer is what
swapping moves in a graph that only predicts.
"""

from common import data, digest, history, runtime, step
from lms import loading, provider

BATCH_SIZE = 32
EPOCHS = 2
CLASSES = 10
SHAPE = (32, 32, 3)
FILTERS = 16
TRAIN_IMAGES = 256
TEST_IMAGES = 128
# Predictions on these first test images are compared before the save and after the load.
FIXED_BATCH = 16


def run(script):
    """Runs `script(cifar)` as a phase; `cifar` is a `CifarCnn`."""
    runtime.execute(lambda started: script(CifarCnn(started)))


class CifarCnn(object):
    """The model, its data, and the evidence of what a phase did to it."""

    def __init__(self, started):
        """started: the `Runtime`."""
        import numpy as np

        self.runtime = started
        self.tf = started.tf
        self.keras = started.keras
        directory = started.phase.data_directory
        pictures = data.load_cifar10(directory, TRAIN_IMAGES, TEST_IMAGES)
        started.report(data=pictures.name)
        one_hot = np.eye(CLASSES, dtype="float32")
        self.x_train = _scaled(pictures.x_train)
        self.y_train = one_hot[pictures.y_train]
        self.x_test = _scaled(pictures.x_test)
        self.y_test = one_hot[pictures.y_test]
        self._step_ms = None

    def input(self, *names):
        """Path of an artifact of the earlier phase."""
        return self.runtime.phase.input(*names)

    def output(self, *names):
        """Path for an artifact of this phase."""
        return self.runtime.phase.output(*names)

    def lms(self, training=True):
        """The LMS callback; `training=False` where the model will only predict."""
        return provider.create(self.runtime, training=training, batch_size=BATCH_SIZE)

    def build(self):
        """The compiled model, with initial weights."""
        layers = self.keras.layers
        images = layers.Input(SHAPE)
        stem = layers.MaxPooling2D((2, 2))(self._block(images, FILTERS))
        body = layers.Dropout(0.2)(self._block(stem, FILTERS))
        joined = layers.Add()([stem, self._block(body, FILTERS)])
        dense = layers.Dense(64, activation="relu")(
            layers.Flatten()(layers.MaxPooling2D((4, 4))(joined))
        )
        scores = layers.Dense(CLASSES, activation="softmax")(layers.Dropout(0.4)(dense))
        model = self.keras.models.Model(images, scores)
        model.compile(
            loss="categorical_crossentropy",
            optimizer=self.keras.optimizers.Adam(),
            metrics=["accuracy"],
        )
        _complete(model)
        return model

    def _block(self, images, filters):
        layers = self.keras.layers
        convolved = layers.Conv2D(filters, (3, 3), padding="same")(images)
        return layers.Activation("relu")(layers.BatchNormalization(momentum=0.8)(convolved))

    def load_model(self, path, callbacks):
        """The model as a whole-model file has it; the callbacks see it before its weights do."""
        completion = self.keras.callbacks.LambdaCallback()
        completion.set_model = _complete
        return loading.load_model(self.keras, path, [completion] + list(callbacks))

    def train(self, model, callbacks):
        """Trains for a few epochs, then measures loss and accuracy on the test images."""
        watch = history.create(self.keras)
        model.fit(
            self.x_train,
            self.y_train,
            batch_size=BATCH_SIZE,
            epochs=EPOCHS,
            verbose=2,
            callbacks=list(callbacks) + [watch],
        )
        self._step_ms = history.median(watch.step_ms)
        values = model.evaluate(self.x_test, self.y_test, batch_size=BATCH_SIZE, verbose=0)
        named = dict(zip(model.metrics_names, values))
        print(", ".join("test {}: {}".format(*entry) for entry in named.items()))
        history.emit_metrics(named, epoch=EPOCHS, split="test")

    def digest(self, model, stage, optimizer=False):
        """Marks what the session holds: weights, predictions, and the optimizer's state."""
        if not self.runtime.phase.evidence:
            return
        digest.weights(self.runtime, model, stage)
        if optimizer:
            digest.optimizer(self.runtime, model, stage)
        self._digest_predictions(model, stage)

    def finish(self, model):
        """Marks the final predictions and the record of one training step."""
        if not self.runtime.phase.evidence:
            return
        self._digest_predictions(model, "final")
        batch = slice(0, BATCH_SIZE)
        step.trace_train(
            self.runtime, model, self.x_train[batch], self.y_train[batch], self._step_ms
        )

    def _digest_predictions(self, model, stage):
        digest.predictions(model.predict_on_batch(self.x_test[:FIXED_BATCH]), stage)


def _complete(model):
    """Adds to the graph what evaluating and predicting need, before LMS edits it.

    For a function that is made later TensorFlow 2 puts a mark on operations that a session has
    run. It changes nothing, but it is a late change of operations that LMS has rewired.
    """
    model._make_test_function()
    model._make_predict_function()


def _scaled(images):
    """float32 [n, 32, 32, 3] in 0..1 of uint8."""
    return images.astype("float32") / 255.0
