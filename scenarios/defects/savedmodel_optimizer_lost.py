import numpy as np
import tensorflow as tf  # with TF_USE_LEGACY_KERAS=1 where tf.keras is Keras 3

keras = tf.keras
keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
lost = []
for create in (keras.optimizers.Adam, keras.optimizers.RMSprop, keras.optimizers.legacy.Adam):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(create(0.01), "mse")
    model.fit(epochs=2, **fit)
    model.save("savedmodel", save_format="tf")
    resumed = keras.models.load_model("savedmodel")
    count = [
        len(o.variables() if callable(o.variables) else o.variables)
        for o in (model.optimizer, resumed.optimizer)
    ]
    steps = int(model.optimizer.iterations), int(resumed.optimizer.iterations)
    model.fit(epochs=1, **fit)
    resumed.fit(epochs=1, **fit)
    worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
    print(
        create.__module__,
        create.__name__,
        "optimizer variables %d -> %d, iterations %d -> %d," % (*count, *steps),
        "largest difference",
        worst,
    )
    lost += [create.__name__] * bool(worst)
print("lost: the optimizer's state (%s)" % ", ".join(lost) if lost else "nothing lost")
