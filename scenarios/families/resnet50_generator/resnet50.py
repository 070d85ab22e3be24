"""The ResNet50 that the scripts beside this one train from a generator, save and load.

Model, loss, number of classes and optimizer are those of TFLMS's own ResNet50 tests. The sizes are
parameters, environment variables that a scenario sets by its `variables`:

    RESNET_IMAGE_SIZE   pixels a side, at least 32; 48 by default
    RESNET_STEPS        training steps, at least 1; 3 by default
    RESNET_BATCH_SIZE   images a step, at least 1; 1 by default
"""

import functools
import os

import numpy as np
from common import digest, history, marker, runtime, step
from common.phase import refuse
from lms import loading, provider

CLASSES = 15
# ResNet50 is not defined for smaller images.
SMALLEST_IMAGE = 32
# The tests' RMSprop moves each weight by about three times its learning rate in the first step,
# however small the gradient: with Keras' rate of 1e-3 rounding errors would decide the loss.
LEARNING_RATE = 1e-5
# Predictions on these images are compared before the save and after the load.
FIXED_BATCH = 4
SEED = 50


def run(script):
    """Runs `script(resnet)` as a phase; `resnet` is a `Resnet50`."""
    runtime.execute(lambda started: script(Resnet50(started)))


class Resnet50(object):
    """The model, its data, and the evidence of what a phase did to it."""

    def __init__(self, started):
        """started: the `Runtime`."""
        self.image_size = _number("RESNET_IMAGE_SIZE", 48, SMALLEST_IMAGE)
        self.steps = _number("RESNET_STEPS", 3, 1)
        self.batch_size = _number("RESNET_BATCH_SIZE", 1, 1)
        self.runtime = started
        self.keras = started.keras
        _leave_out_grappler(started)
        started.report(
            data="random images {0} x {0}, batches of {1}".format(self.image_size, self.batch_size)
        )
        self._step_ms = None

    def input(self, *names):
        """Path of an artifact of the earlier phase."""
        return self.runtime.phase.input(*names)

    def output(self, *names):
        """Path for an artifact of this phase."""
        return self.runtime.phase.output(*names)

    def lms(self):
        """The LMS callback."""
        return provider.create(self.runtime, batch_size=self.batch_size)

    def build(self):
        """The model as code makes it, with initial weights."""
        model = self.keras.applications.ResNet50(
            weights=None,
            include_top=True,
            input_shape=(self.image_size, self.image_size, 3),
            classes=CLASSES,
        )
        optimizer = self.keras.optimizers.RMSprop(LEARNING_RATE)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy")
        if self.runtime.phase.mode == "function":
            # A function that makes variables when it is called first is traced twice.
            optimizer.build(model.trainable_variables)
        return model

    def load_model(self, path, callbacks):
        """The model as a whole-model file has it, shown to the callbacks; see `loading`."""
        return loading.load_model(self.keras, path, callbacks, mode=self.runtime.phase.mode)

    def train(self, model, callbacks):
        """Trains for one epoch from a generator."""
        watch = history.create(self.keras)
        self._fit(model, self.steps, verbose=2, callbacks=list(callbacks) + [watch])
        self._step_ms = history.median(watch.step_ms)

    def _fit(self, model, steps, **options):
        fit = model.fit
        if self.runtime.phase.mode == "session":
            # In the main thread, without a queue between.
            fit = functools.partial(model.fit_generator, workers=0)
        fit(batches(self.image_size, self.batch_size), steps_per_epoch=steps, epochs=1, **options)

    def digest(self, model, stage, optimizer=False):
        """Marks what the session holds: weights, the optimizer's state, predictions."""
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
        images, labels = next(batches(self.image_size, self.batch_size))
        step.trace_train(
            self.runtime,
            model,
            images,
            labels,
            self._step_ms,
            run=lambda: self._fit(model, 1, verbose=0),
        )

    def _digest_predictions(self, model, stage):
        images, _ = next(batches(self.image_size, FIXED_BATCH))
        digest.model_predictions(self.runtime, model, images, stage)


def batches(image_size, batch_size):
    """Endless random batches, the same in every process: images and one-hot labels.

    Images are float32 [batch_size, image_size, image_size, 3] in 0..1, labels float32
    [batch_size, CLASSES].
    """
    random = np.random.RandomState(SEED)
    one_hot = np.eye(CLASSES, dtype="float32")
    while True:
        images = random.random_sample((batch_size, image_size, image_size, 3))
        labels = random.randint(CLASSES, size=batch_size)
        yield images.astype("float32"), one_hot[labels]


def _leave_out_grappler(started):
    """Lets TensorFlow run graphs as they are, in this process.

    Grappler keeps swap operations and all that leads to them, so in an edited graph it optimises
    the whole forward pass again for each set of fetches: 2 s for ResNet50. Keras' HDF5 writer has
    one for each layer, and saving would take minutes. What Grappler does to an edited graph is seen
    in every other family.
    """
    marker.emit("note", text="Grappler is off: it would optimise ResNet50 for each set of fetches")
    if started.phase.mode == "function":
        started.tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        return
    config = runtime.session_config(started.tf, started.phase)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    started.session.close()
    started.keras.backend.set_session(started.tf.Session(config=config))


def _number(name, default, least):
    """A whole number of the environment; with a bad one the process ends with exit code 2."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or int(text) < least:
        refuse("{} is {!r}; it must be a whole number of at least {}".format(name, text, least))
    return int(text)
