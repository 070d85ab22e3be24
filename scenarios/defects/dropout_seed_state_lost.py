import os

import numpy as np

if os.environ.get(
    "TF_KERAS"
):  # Keras 2: TF_KERAS=1 (and TF_USE_LEGACY_KERAS=1 from TensorFlow 2.16 on)
    import tensorflow as tf

    keras = tf.keras
else:
    import keras
x, y = np.random.RandomState(0).rand(64, 8), np.random.RandomState(1).rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input((8,)),
        keras.layers.Dense(8, "tanh"),
        keras.layers.Dropout(0.5, seed=3),
        keras.layers.Dense(1),
    ]
)
model.compile("sgd", "mean_squared_error")
model.fit(epochs=2, **fit)
model.save("dropout.keras")
resumed = keras.models.load_model("dropout.keras")
generators = [getattr(m.layers[1], "seed_generator", None) for m in (model, resumed)]
if hasattr(generators[0], "state"):
    print(
        "keras",
        keras.__version__,
        "state of the seed generator:",
        *[keras.ops.convert_to_numpy(g.state) for g in generators],
    )
model.fit(epochs=1, **fit)
resumed.fit(epochs=1, **fit)
worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
print("largest difference of weights after one more epoch:", worst)
print("lost: the state of Dropout's random generator" if worst else "nothing lost")
