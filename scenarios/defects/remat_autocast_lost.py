"""Keras 3: training in mixed precision, of a layer in a RematScope and of the same without."""

import contextlib

import keras
import numpy as np

x, y = np.random.RandomState(0).rand(16, 8).astype("f"), np.zeros((16, 1), "f")
calls = []


class Hidden(keras.layers.Dense):
    def call(self, inputs, training=None):
        calls.append(keras.backend.standardize_dtype(self.kernel.dtype))
        return super().call(inputs)


for policy in ("mixed_float16", "mixed_bfloat16"):
    for scope in (contextlib.nullcontext(), keras.RematScope(mode="full")):
        calls.clear()
        with scope:
            hidden = Hidden(8, activation="relu", dtype=policy)
        model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(1)])
        # see keras#21207
        model.compile("sgd", "mse", run_eagerly=keras.backend.backend() == "tensorflow")
        told = keras.__version__, keras.backend.backend(), policy, type(scope).__name__
        try:
            model.fit(x, y, batch_size=8, verbose=0)
            print(*told, "trained; kernels in calls:", *calls)
        except Exception as e:
            print(*told, "kernels in calls:", *calls)
            print(" ", type(e).__name__, " ".join(str(e).split())[:400])
