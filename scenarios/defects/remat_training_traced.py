"""Keras 3 on jax: layers in a RematScope that look at `training`, or have a state that a step sets."""

import keras
import numpy as np

x, y = np.random.RandomState(0).rand(16, 8).astype("f"), np.zeros((16, 1), "f")


class Masked(keras.layers.Layer):
    """A dropout that does not look at `training`."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, inputs):
        return keras.random.dropout(inputs, 0.5, seed=self.seed_generator)


for make in (
    lambda: keras.layers.Dense(8),
    keras.layers.LayerNormalization,
    lambda: keras.layers.Dropout(0.5),
    keras.layers.BatchNormalization,
    Masked,
):
    with keras.RematScope(mode="full"):
        layer = make()
    name = type(layer).__name__
    model = keras.Sequential([keras.Input((8,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    try:
        model.fit(x, y, batch_size=8, verbose=0)
        print(keras.__version__, keras.backend.backend(), name, "trained")
    except Exception as e:
        reason = " ".join(str(e).split())[:400]
        print(keras.__version__, keras.backend.backend(), name, type(e).__name__, reason)
