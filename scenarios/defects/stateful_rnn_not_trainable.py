"""Keras 3: a stateful layer that is trained; on torch also in a RematScope."""

import contextlib

import keras
import numpy as np

x, y = np.random.RandomState(0).rand(8, 4, 3).astype("f"), np.zeros((8, 1), "f")
scopes = [contextlib.nullcontext()]
if keras.backend.backend() == "torch":
    scopes.append(keras.RematScope(mode="full"))
for scope in scopes:
    for kind in (keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM):
        with scope:
            layer = kind(4, stateful=True)
        model = keras.Sequential([keras.Input((4, 3), batch_size=8), layer, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        told = keras.__version__, keras.backend.backend(), kind.__name__, type(scope).__name__
        try:
            model.fit(x, y, batch_size=8, verbose=0)
            print(*told, "trained")
        except Exception as e:
            print(*told, type(e).__name__, " ".join(str(e).split())[:200])
