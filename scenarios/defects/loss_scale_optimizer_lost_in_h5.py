import numpy as np
import tensorflow as tf  # with TF_USE_LEGACY_KERAS=1 where tf.keras is Keras 3

keras = tf.keras
keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
lost = []
for name in ("scale.keras", "scale.h5"):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(
        keras.mixed_precision.LossScaleOptimizer(
            keras.optimizers.Adam(0.01), dynamic_growth_steps=3
        ),
        "mse",
    )
    model.fit(epochs=2, **fit)
    model.save(name)
    resumed = keras.models.load_model(name)
    for what in ("iterations", "loss_scale", "dynamic_counter"):
        print(
            name,
            what,
            float(getattr(model.optimizer, what)),
            "->",
            float(getattr(resumed.optimizer, what)),
        )
    model.fit(epochs=1, **fit)
    resumed.fit(epochs=1, **fit)
    worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
    print("largest difference of weights after one more epoch:", worst)
    lost += [name] * bool(worst)
print(
    "lost: the state of the optimizer inside LossScaleOptimizer in " + ", ".join(lost)
    if lost
    else "nothing lost"
)
