"""Keras 3: a functional model with layers in a RematScope, trained by fit."""

import keras
import numpy as np

x, y = (
    np.random.RandomState(0).rand(40, 8).astype("f"),
    np.random.RandomState(1).rand(40, 1).astype("f"),
)
inputs = keras.Input((8,))
try:
    with keras.RematScope(mode="full"):
        hidden = keras.layers.Dense(8)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile("adam", "mse")
    model.fit(x, y, batch_size=8, verbose=0)
    print(keras.__version__, keras.backend.backend(), "trained")
except Exception as e:
    print(keras.__version__, keras.backend.backend(), type(e).__name__, str(e)[:700])
