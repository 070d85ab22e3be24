"""Keras 3: get_state_tree refuses models whose variables have equal paths: two outputs with one metric; Adafactor."""

import keras
import numpy as np

x, y = (
    np.random.RandomState(0).rand(40, 8).astype("f"),
    np.random.RandomState(1).rand(40, 1).astype("f"),
)
i = keras.Input((8,))
two = keras.Model(i, [keras.layers.Dense(1, name="a")(i), keras.layers.Dense(1, name="b")(i)])
two.compile("adam", ["mse", "mse"], metrics={"a": "mae", "b": "mae"})
two.fit(x, [y, y], verbose=0)
ada = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(1)])
ada.compile(keras.optimizers.Adafactor(0.1), "mse")
ada.fit(x, y, verbose=0)
for name, m in (("two outputs", two), ("Adafactor", ada)):
    try:
        m.get_state_tree()
        print(keras.__version__, name, "ok")
    except Exception as e:
        print(keras.__version__, name, type(e).__name__, str(e)[:90])
