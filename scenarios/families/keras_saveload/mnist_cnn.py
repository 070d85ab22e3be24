"""The MNIST model that the scripts beside this one train, save and load.

Layers and hyperparameters are those of the Keras example `mnist_cnn.py`, which TFLMS's own
save/load tests use too.
"""

from common import data, digest, history, runtime, step
from lms import loading, provider

BATCH_SIZE = 128
EPOCHS = 1
CLASSES = 10
# Predictions on these first test images are compared before the save and after the load.
FIXED_BATCH = 16


def run(script):
    """Runs `script(mnist)` as a phase; `mnist` is a `MnistCnn`."""
    runtime.execute(lambda started: script(MnistCnn(started)))


class MnistCnn(object):
    """The model, its data, and the evidence of what a phase did to it."""

    def __init__(self, started):
        """started: the `Runtime`."""
        import numpy as np

        self.runtime = started
        self.tf = started.tf
        self.keras = started.keras
        digits = data.load(started.phase.data_directory)
        started.report(data=digits.name)
        one_hot = np.eye(CLASSES, dtype="float32")
        self.x_train = _scaled(digits.x_train)
        self.y_train = one_hot[digits.y_train]
        self.x_test = _scaled(digits.x_test)
        self.y_test = one_hot[digits.y_test]
        self._step_ms = None

    @property
    def session(self):
        """The session of Keras' backend, its variables initialised; session mode only."""
        return self.runtime.session

    def input(self, *names):
        """Path of an artifact of the earlier phase."""
        return self.runtime.phase.input(*names)

    def output(self, *names):
        """Path for an artifact of this phase."""
        return self.runtime.phase.output(*names)

    def lms(self, training=True):
        """The LMS callback; `training=False` where the model will only predict."""
        return provider.create(self.runtime, training=training, batch_size=BATCH_SIZE)

    def build(self, compiled=True, optimizer=None):
        """The model as code makes it, with initial weights.

        optimizer: a Keras or `tf.train` optimizer; by default Keras' Adadelta.
        """
        layers = self.keras.layers
        model = self.keras.models.Sequential(
            [
                layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
                layers.Conv2D(64, (3, 3), activation="relu"),
                layers.MaxPooling2D((2, 2)),
                layers.Dropout(0.25),
                layers.Flatten(),
                layers.Dense(128, activation="relu"),
                layers.Dropout(0.5),
                layers.Dense(CLASSES, activation="softmax"),
            ]
        )
        if compiled:
            model.compile(
                loss="categorical_crossentropy",
                optimizer=optimizer or self.keras.optimizers.Adadelta(),
                metrics=["accuracy"],
            )
        return model

    def load_model(self, path, callbacks):
        """The model as a whole-model file has it, shown to the callbacks; see `loading`."""
        return loading.load_model(self.keras, path, callbacks, mode=self.runtime.phase.mode)

    def checkpoint_optimizer(self):
        """An Adadelta whose state `tf.train.Checkpoint` saves: TensorFlow 1's own, or Keras'."""
        if self.runtime.phase.mode == "session":
            return self.tf.train.AdadeltaOptimizer()
        return self.keras.optimizers.Adadelta()

    def make_slots(self, model):
        """Lets the optimizer make its variables, so that a checkpoint's values find them.

        In a graph they come with the train function.
        """
        if self.runtime.phase.mode == "function":
            model.optimizer.build(model.trainable_variables)

    def finish_restore(self, status):
        """In a graph `restore` only prepares operations; this runs them."""
        if self.runtime.phase.mode == "session":
            status.run_restore_ops(self.session)

    def train(self, model, callbacks):
        """Trains for one epoch, then measures loss and accuracy on the test images."""
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
        self.evaluate(model)

    def latest_checkpoint(self, name):
        """Path of the last checkpoint in a directory of the earlier phase's artifacts."""
        directory = self.input(name)
        path = self.tf.train.latest_checkpoint(directory)
        if path is None:
            # Restoring None does nothing, and says nothing.
            raise FileNotFoundError("no checkpoint in {}".format(directory))
        return path

    def predict(self, model):
        """Predicts all test images and marks the accuracy."""
        values = model.predict(self.x_test, batch_size=BATCH_SIZE, verbose=0)
        hits = values.argmax(axis=1) == self.y_test.argmax(axis=1)
        print("Test accuracy: {}".format(hits.mean()))
        history.emit_metrics({"accuracy": hits.mean()}, epoch=EPOCHS, split="test")

    def evaluate(self, model):
        """Marks loss and accuracy on the test images."""
        values = model.evaluate(self.x_test, self.y_test, batch_size=BATCH_SIZE, verbose=0)
        named = dict(zip(model.metrics_names, values))
        print(", ".join("test {}: {}".format(*entry) for entry in named.items()))
        history.emit_metrics(named, epoch=EPOCHS, split="test")

    def digest(self, model, stage, optimizer=False):
        """Marks what the session holds: weights, the optimizer's state, predictions.

        stage: `'saved'` or `'restored'`. optimizer: whether the file holds the optimizer's state,
            if it has any: the same script loads files with and without.
        """
        if not self.runtime.phase.evidence:
            return
        digest.weights(self.runtime, model, stage)
        if optimizer and digest.optimizer_variables(model):
            digest.optimizer(self.runtime, model, stage)
        self._digest_predictions(model, stage)

    def finish(self, model, role):
        """Marks the final predictions and the record of one step.

        role: `'train'` or `'predict'`, what the phase did with the model.
        """
        if not self.runtime.phase.evidence:
            return
        self._digest_predictions(model, "final")
        if role == "train":
            batch = slice(0, BATCH_SIZE)
            step.trace_train(
                self.runtime, model, self.x_train[batch], self.y_train[batch], self._step_ms
            )
        else:
            step.trace_predict(self.runtime, model, self.x_test[:BATCH_SIZE])

    def _digest_predictions(self, model, stage):
        digest.model_predictions(self.runtime, model, self.x_test[:FIXED_BATCH], stage)


def _scaled(images):
    """float32 [n, 28, 28, 1] in 0..1 of uint8 [n, 28, 28]."""
    return images[..., None].astype("float32") / 255.0
