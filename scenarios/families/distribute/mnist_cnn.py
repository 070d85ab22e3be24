"""The model that the scripts beside this one train on replicas, save and load.

Layers and hyperparameters are those of TensorFlow's tutorial "Save and load a model using a
distribution strategy"; one epoch on a few hundred images takes the place of its two on MNIST.
"""

from common import claim, data, digest, history, marker, runtime, step
from lms import provider

BATCH_SIZE_PER_REPLICA = 64
EPOCHS = 1
IMAGES = 512  # to train on
EVALUATED = 256  # images of the test set
# Predictions on these first test images are compared before the save and after the load.
FIXED_BATCH = 16
SEED = 1
DEFAULT_FUNCTION_KEY = "serving_default"


def run(script):
    """Runs `script(mnist)` as a phase; `mnist` is a `MnistCnn`."""
    # Every script opens the scope of the strategy that it is about.
    runtime.execute(lambda started: script(MnistCnn(started)), placed=False)


class MnistCnn(object):
    """The model, its data, the strategies, and the evidence of what a phase did.

    tf: `tensorflow`. keras: the flavor's Keras package. replicas: accelerators of the phase.
    train_dataset: batches of images and labels for all replicas.
    predict_dataset: batches of test images for all replicas.
    """

    def __init__(self, started):
        """started: the `Runtime`."""
        self.runtime = started
        self.tf = started.tf
        self.keras = started.keras
        self.replicas = started.phase.replicas
        self.device = started.phase.accelerator_device
        digits = data.load(started.phase.data_directory)
        started.report(data=digits.name)
        self.batch_size = BATCH_SIZE_PER_REPLICA * self.replicas
        self._x_test = _scaled(digits.x_test[:EVALUATED])
        self._y_test = digits.y_test[:EVALUATED]
        sliced = self.tf.data.Dataset.from_tensor_slices
        images = _scaled(digits.x_train[:IMAGES])
        labels = digits.y_train[:IMAGES].astype("int64")
        train = sliced((images, labels)).cache().shuffle(IMAGES, seed=SEED)
        self.train_dataset = train.batch(self.batch_size)
        self.predict_dataset = sliced(self._x_test).batch(self.batch_size)
        self._trained = None
        self._step_ms = None

    @property
    def fixed_batch(self):
        """float32 [16, 28, 28, 1]: the images whose predictions are compared."""
        return self._x_test[:FIXED_BATCH]

    def input(self, *names):
        """Path of an artifact of the earlier phase."""
        return self.runtime.phase.input(*names)

    def output(self, *names):
        """Path for an artifact of this phase."""
        return self.runtime.phase.output(*names)

    def lms(self, training=True):
        """The LMS callback; `training=False` where the model will only predict."""
        return provider.create(self.runtime, training=training, batch_size=self.batch_size)

    def mirrored_strategy(self):
        """A `MirroredStrategy` over all accelerators of the phase."""
        return self.tf.distribute.MirroredStrategy(self.runtime.phase.accelerator_devices)

    def get_model(self):
        """The model as code makes it, with initial weights, compiled."""
        layers = self.keras.layers
        model = self.keras.Sequential(
            [
                layers.Conv2D(32, 3, activation="relu", input_shape=(28, 28, 1)),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(64, activation="relu"),
                layers.Dense(10),
            ]
        )
        self.compile(model)
        return model

    def compile(self, model):
        """Compiles a model that gives logits of the ten digits."""
        model.compile(
            loss=self.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=self.keras.optimizers.Adam(),
            metrics=[self.keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    def fit(self, model, dataset=None, epochs=EPOCHS):
        """Trains with LMS; marks loss and accuracy of each epoch.

        dataset: by default `train_dataset`.
        """
        self._trained = self.train_dataset if dataset is None else dataset
        watch = history.create(self.keras)
        model.fit(
            self._trained,
            epochs=epochs,
            verbose=2,
            callbacks=[self.lms(), watch],
        )
        self._step_ms = history.median(watch.step_ms)

    def digest(self, model, stage, optimizer=False):
        """Marks what the variables hold: weights, the optimizer's state, predictions.

        stage: `'saved'` or `'restored'`. optimizer: whether the file holds the optimizer's state.
        """
        if not self.runtime.phase.evidence:
            return
        digest.weights(self.runtime, model, stage)
        if optimizer:
            digest.optimizer(self.runtime, model, stage)
        digest.predictions(model.predict_on_batch(self.fixed_batch), stage)

    def inference_func(self, loaded):
        """The inference function of an object of `tf.saved_model.load`, which is no Keras model.

        States that, and marks the object's weights.
        """
        is_model = isinstance(loaded, self.keras.Model)
        claim.state("the loaded object is a Keras model", False, is_model)
        found = ", ".join(sorted(loaded.signatures))
        claim.state("signatures of the loaded object", DEFAULT_FUNCTION_KEY, found)
        digest.arrays("weights", "restored", [entry.numpy() for entry in loaded.variables])
        return loaded.signatures[DEFAULT_FUNCTION_KEY]

    def finish(self, model):
        """Marks the final predictions and the record of one training step."""
        if not self.runtime.phase.evidence:
            return
        digest.predictions(model.predict_on_batch(self.fixed_batch), "final")
        self.trace(model)

    def trace(self, model):
        """Marks the record of one step of what `fit` did last. It changes the weights."""
        one_step = self._trained.take(1)
        step.trace_train(
            self.runtime,
            model,
            None,
            None,
            self._step_ms,
            run=lambda: model.fit(one_step, epochs=1, verbose=0),
        )

    def finish_inference(self, logits):
        """Marks accuracy and predictions of inference by what was loaded.

        logits: float32 [images, 10] of the images of `predict_dataset`, in their order.
        """
        hits = logits.argmax(axis=1) == self._y_test[: len(logits)]
        print("Test accuracy of {} images: {}".format(len(logits), hits.mean()))
        history.emit_metrics({"accuracy": hits.mean()}, epoch=EPOCHS, split="test")
        digest.predictions(logits[:FIXED_BATCH], "restored")


def note(text):
    """Marks something that the reader of the report should know."""
    print(text)
    marker.emit("note", text=text)


def _scaled(images):
    """float32 [n, 28, 28, 1] in 0..1 of uint8 [n, 28, 28]."""
    return images[..., None].astype("float32") / 255.0
