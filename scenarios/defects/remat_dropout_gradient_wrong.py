"""Keras 3: the gradient of a model with a dropout in a RematScope, and of the same without."""

import contextlib

import keras
import numpy as np

x, y = np.random.RandomState(0).rand(16, 8).astype("f"), np.zeros((16, 1), "f")


def step(scope):
    keras.utils.set_random_seed(0)
    with scope:
        layers = [keras.layers.Dense(64), keras.layers.Dropout(0.5, seed=1)]
    model = keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.get_weights()[0]
    loss = model.train_on_batch(x, y)
    return loss, before - model.get_weights()[0], layers[1].seed_generator.state.numpy()


try:
    plain = step(contextlib.nullcontext())
    remat = step(keras.RematScope(mode="full"))
    print(keras.__version__, keras.backend.backend(), "loss of the step", plain[0], remat[0])
    print("masks drawn in one step:", plain[2][1], "and", remat[2][1])
    error = np.abs(plain[1] - remat[1]).max() / np.abs(plain[1]).max()
    print("largest difference of the first layer's update, of its largest:", error)
except Exception as e:
    print(keras.__version__, keras.backend.backend(), type(e).__name__, str(e)[:700])
