"""Keras 3: a loaded LoRA layer has both of its matrices zero, so that neither has a gradient: it never learns again."""

import keras
import numpy as np

x, y = (
    np.random.RandomState(0).rand(40, 8).astype("f"),
    np.random.RandomState(1).rand(40, 1).astype("f"),
)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(1)])
model.layers[0].enable_lora(2)
model.layers[0].bias.trainable = False
model.layers[1].trainable = False
model.compile(keras.optimizers.Adam(0.01), "mse")


def show(name, m):
    l = m.layers[0]
    n = lambda v: float(abs(keras.ops.convert_to_numpy(v.value)).max())
    print(
        f"{name:34} |A| {n(l.lora_kernel_a):.3f} |B| {n(l.lora_kernel_b):.3f} loss {m.evaluate(x, y, verbose=0):.5f}"
    )


print(keras.__version__, keras.backend.backend())
show("new", model)
model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)
show("trained for 5 epochs", model)
model.save("l.keras")
loaded = keras.models.load_model("l.keras")
show("loaded", loaded)
print("trainable after the load:", [v.path for v in loaded.trainable_variables])
loaded.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)
show("loaded, trained for 5 epochs", loaded)
model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)
show("not loaded, trained for 5 more", model)
