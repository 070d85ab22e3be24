"""The ResNet50 that the scripts beside this one train from a generator, save and load.

Model, loss, number of classes and optimizer are those of TFLMS's own ResNet50 tests. The sizes are
parameters, environment variables that a scenario sets by its `variables`:

    RESNET_IMAGE_SIZE   pixels a side, at least 32; 48 by default
    RESNET_STEPS        training steps, at least 1; 3 by default
    RESNET_BATCH_SIZE   images a step, at least 1; 1 by default
"""

import functools
import typing

from common import data, marker, parameter
from common.runtime import Runtime
from frameworks import session
from meters import trace
from workload.keras_model import KerasWorkload

CLASSES = 15
# ResNet50 is not defined for smaller images.
SMALLEST_IMAGE = 32
# The tests' RMSprop moves each weight by about three times its learning rate in the first step,
# however small the gradient: with Keras' rate of 1e-3 rounding errors would decide the loss.
LEARNING_RATE = 1e-5
# Predictions on these images are compared before the save and after the load.
FIXED_BATCH = 4
SEED = 50


class Resnet50(KerasWorkload):
    """The model, and random images that come from a generator."""

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self.image_size = parameter.number("RESNET_IMAGE_SIZE", 48, SMALLEST_IMAGE)
        self.steps = parameter.number("RESNET_STEPS", 3)
        self.batch_size *= parameter.number("RESNET_BATCH_SIZE", 1)
        _leave_out_grappler(started)
        size = self.image_size
        started.report(data=f"random images {size} x {size}, batches of {self.batch_size}")

    @property
    def fixed_batch(self) -> typing.Any:
        """The images whose predictions are compared."""
        images, _ = next(batches(self.image_size, FIXED_BATCH))
        return images

    def make(self) -> typing.Any:
        """The model as code makes it, with initial weights."""
        model = self.keras.applications.ResNet50(
            weights=None,
            include_top=True,
            input_shape=(self.image_size, self.image_size, 3),
            classes=CLASSES,
        )
        optimizer = self.keras.optimizers.RMSprop(LEARNING_RATE)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy")
        if self.phase.mode == "function":
            # A function that makes variables when it is called first is traced twice.
            optimizer.build(model.trainable_variables)
        return model

    def fit(
        self, model: typing.Any, callbacks: typing.List[typing.Any], epochs: int, done: int
    ) -> None:
        """Trains from a generator; each epoch has other images, the same whoever trains it."""
        self._fit(model, self.steps, epochs, done, verbose=2, callbacks=callbacks)

    def evaluate(self, model: typing.Any) -> None:
        """There is nothing to measure: the images are random."""

    def trace(self, model: typing.Any, role: str) -> None:
        """Marks the record of one training step."""
        images, labels = next(batches(self.image_size, self.batch_size))
        trace.train(
            self.runtime,
            model,
            images,
            labels,
            self.step_ms,
            run=lambda: self._fit(model, 1, verbose=0),
            batch=self.batch_size,
        )

    def _fit(
        self,
        model: typing.Any,
        steps: int,
        epochs: int = 1,
        done: int = 0,
        **options: typing.Any,
    ) -> None:
        fit = model.fit
        if self.phase.mode == "session":
            # In the main thread, without a queue between.
            fit = functools.partial(model.fit_generator, workers=0)
        generator = batches(self.image_size, self.batch_size)
        for _ in range(done * steps):
            next(generator)
        fit(generator, steps_per_epoch=steps, epochs=epochs, initial_epoch=done, **options)


def batches(
    image_size: int, batch_size: int
) -> typing.Iterator[typing.Tuple[typing.Any, typing.Any]]:
    """Endless random batches, the same in every process: images and one-hot labels.

    Images are float32 [batch_size, image_size, image_size, 3] in 0..1, labels float32
    [batch_size, CLASSES].
    """
    import numpy as np

    random = np.random.RandomState(SEED)
    while True:
        images = random.random_sample((batch_size, image_size, image_size, 3))
        labels = random.randint(CLASSES, size=batch_size)
        yield images.astype("float32"), data.one_hot(labels, CLASSES)


def _leave_out_grappler(started: Runtime) -> None:
    """Lets TensorFlow run graphs as they are, in this process.

    Grappler keeps swap operations and all that leads to them, so in an edited graph it optimises
    the whole forward pass again for each set of fetches: 2 s for ResNet50. Keras' HDF5 writer has
    one for each layer, and saving would take minutes. What Grappler does to an edited graph is seen
    in every other family.
    """
    marker.note("Grappler is off: it would optimise ResNet50 for each set of fetches")
    if started.phase.mode == "function":
        started.tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        return
    config = session.config(started.tf, started.phase.resources)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    started.session.close()
    started.keras.backend.set_session(started.tf.Session(config=config))
