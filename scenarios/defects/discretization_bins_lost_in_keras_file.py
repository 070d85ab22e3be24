import numpy as np
import tensorflow as tf  # with TF_USE_LEGACY_KERAS=1 where tf.keras is Keras 3

keras = tf.keras
keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
lost = []
for name in ("bins.keras", "bins.h5"):
    bins = keras.layers.Discretization(num_bins=4)
    bins.adapt(x)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            bins,
            keras.layers.Embedding(5, 4),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(epochs=1, **fit)
    model.save(name)
    resumed = keras.models.load_model(name)
    print(name, "bin boundaries", bins.bin_boundaries, "->", resumed.layers[0].bin_boundaries)
    before = np.abs(model.predict(x, verbose=0) - resumed.predict(x, verbose=0)).max()
    model.fit(epochs=1, **fit)
    resumed.fit(epochs=1, **fit)
    worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
    print(
        "largest difference of predictions after loading:",
        before,
        "of weights after one more epoch:",
        worst,
    )
    lost += [name] * bool(before)
print(
    "lost: the boundaries that Discretization learned, in " + ", ".join(lost)
    if lost
    else "nothing lost"
)
