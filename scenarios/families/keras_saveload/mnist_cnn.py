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
# With a last batch that is smaller than the others.
_TRAIN_IMAGES, _TEST_IMAGES = 448, 192


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
        self.batch_size = BATCH_SIZE * started.phase.pressure
        self.x_train = self._taken(_scaled(digits.x_train), _TRAIN_IMAGES)
        self.y_train = self._taken(one_hot[digits.y_train], _TRAIN_IMAGES)
        self.x_test = self._taken(_scaled(digits.x_test), _TEST_IMAGES)
        self.y_test = self._taken(one_hot[digits.y_test], _TEST_IMAGES)
        self._step_ms = None
        self._callbacks = []

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
        return provider.create(self.runtime, training=training, batch_size=self.batch_size)

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
                optimizer=optimizer or self._adadelta(),
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
        return self._adadelta()

    def _adadelta(self):
        """Keras' Adadelta.

        With Keras 3 at the rate that was the default when the example was written: at today's, a
        thousandth of it, the few steps hardly change the model, and a wrong one would not show.
        """
        rate = {"learning_rate": 1.0} if self.runtime.phase.keras3 else {}
        return self.keras.optimizers.Adadelta(**rate)

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

    def train(self, model, callbacks, epochs=EPOCHS):
        """Trains, for one epoch by default, and measures loss and accuracy on the test images."""
        watch = history.create(self.keras)
        if self.runtime.phase.mode == "eager":
            # There LMS works in each step that it is given to, and in no other.
            self._callbacks = [entry for entry in callbacks if hasattr(entry, "is_training")]
        model.fit(
            self.x_train,
            self.y_train,
            batch_size=self.batch_size,
            epochs=epochs,
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
        values = model.predict(self.x_test, batch_size=self.batch_size, verbose=0)
        hits = values.argmax(axis=1) == self.y_test.argmax(axis=1)
        print("Test accuracy: {}".format(hits.mean()))
        history.emit_metrics({"accuracy": hits.mean()}, epoch=EPOCHS, split="test")

    def evaluate(self, model):
        """Marks loss and accuracy on the test images."""
        named = self._evaluated(model)
        print(", ".join("test {}: {}".format(*entry) for entry in named.items()))
        history.emit_metrics(named, epoch=EPOCHS, split="test")

    def _evaluated(self, model):
        """Loss and metrics on the test images, by Keras' names."""
        arguments = (self.x_test, self.y_test, self.batch_size)
        if self.runtime.phase.keras3:
            return model.evaluate(*arguments, verbose=0, return_dict=True)
        return dict(zip(model.metrics_names, model.evaluate(*arguments, verbose=0)))

    def digest(self, model, stage, optimizer=False):
        """Marks what the session holds: weights, the optimizer's state, predictions.

        stage: `'saved'` or `'restored'`. optimizer: whether the file holds the optimizer's state,
            if it has any: the same script loads files with and without.
        """
        if not self.runtime.phase.evidence:
            return
        self.digest_state(model, stage, optimizer)
        self._digest_predictions(model, stage)

    def digest_state(self, model, stage, optimizer=True):
        """Marks weights and the optimizer's state, and runs nothing."""
        if not self.runtime.phase.evidence:
            return
        digest.weights(self.runtime, model, stage)
        if optimizer and digest.optimizer_variables(model):
            digest.optimizer(self.runtime, model, stage)

    def finish(self, model, role):
        """Marks the final predictions and the record of one step.

        role: `'train'` or `'predict'`, what the phase did with the model.
        """
        if not self.runtime.phase.evidence:
            return
        self._digest_predictions(model, "final")
        if role == "train":
            batch = slice(0, self.batch_size)
            step.trace_train(
                self.runtime,
                model,
                self.x_train[batch],
                self.y_train[batch],
                self._step_ms,
                callbacks=self._callbacks,
            )
        else:
            step.trace_predict(self.runtime, model, self.x_test[: self.batch_size])

    def _taken(self, array, most):
        """What a phase takes of a data set: under pressure it is repeated, for two batches.

        most: how much Keras 3 takes without a GPU: its steps are many times slower there.
        On jax the last batch is left out where it is smaller: the step would be compiled once more.
        """
        import numpy as np

        phase = self.runtime.phase
        if phase.pressure > 1:
            array = np.concatenate([array] * -(-2 * self.batch_size // len(array)))
        elif phase.keras3 and not phase.on_gpu:
            array = array[:most]
        if phase.backend == "jax":
            array = array[: len(array) // self.batch_size * self.batch_size]
        return array

    def _digest_predictions(self, model, stage):
        digest.model_predictions(self.runtime, model, self.x_test[:FIXED_BATCH], stage)


def _scaled(images):
    """float32 [n, 28, 28, 1] in 0..1 of uint8 [n, 28, 28]."""
    return images[..., None].astype("float32") / 255.0
