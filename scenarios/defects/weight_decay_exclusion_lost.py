import os

import numpy as np

if os.environ.get(
    "TF_KERAS"
):  # Keras 2: TF_KERAS=1 (and TF_USE_LEGACY_KERAS=1 from TensorFlow 2.16 on)
    import tensorflow as tf

    keras = tf.keras
else:
    import keras
keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model = keras.Sequential(
    [
        keras.Input((8,)),
        keras.layers.Dense(8, "tanh", bias_initializer="ones"),
        keras.layers.Dense(1),
    ]
)
optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.5)
optimizer.exclude_from_weight_decay(var_names=["bias"])
model.compile(optimizer, "mean_squared_error")
model.fit(epochs=2, **fit)
model.save("/tmp/decay.keras")
resumed = keras.models.load_model("/tmp/decay.keras")
decayed = [
    [bool(m.optimizer._use_weight_decay(v)) for v in m.trainable_variables]
    for m in (model, resumed)
]
print(
    "keras", getattr(keras, "__version__", ""), "decayed variables:", decayed[0], "->", decayed[1]
)
model.fit(epochs=1, **fit)
resumed.fit(epochs=1, **fit)
worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
print("largest difference of weights after one more epoch:", worst)
print("lost: exclude_from_weight_decay" if worst else "nothing lost")
