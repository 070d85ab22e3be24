import numpy as np
import tensorflow as tf  # with TF_USE_LEGACY_KERAS=1 where tf.keras is Keras 3

keras = tf.keras
keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
lost = []
for name in ("legacy.keras", "legacy.h5"):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.legacy.Adam(0.01), "mse")
    model.fit(epochs=2, **fit)
    model.save(name)
    resumed = keras.models.load_model(name)
    print(
        name,
        "optimizer variables",
        len(model.optimizer.variables()),
        "->",
        len(resumed.optimizer.variables()),
        "iterations",
        int(model.optimizer.iterations),
        "->",
        int(resumed.optimizer.iterations),
    )
    model.fit(epochs=1, **fit)
    resumed.fit(epochs=1, **fit)
    worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
    print("largest difference of weights after one more epoch:", worst)
    lost += [name] * bool(worst)
print(
    "lost: the state of keras.optimizers.legacy optimizers in " + ", ".join(lost)
    if lost
    else "nothing lost"
)
