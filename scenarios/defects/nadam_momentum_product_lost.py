import numpy as np
import tensorflow as tf  # with TF_USE_LEGACY_KERAS=1 where tf.keras is Keras 3

keras = tf.keras
keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
worst = {}
for name in ("nadam.keras", "nadam.h5"):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Nadam(0.01), "mse")
    fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
    model.fit(epochs=2, **fit)
    model.save(name)
    resumed = keras.models.load_model(name)
    saved = [v.numpy() for v in model.optimizer.variables]
    loaded = [v.numpy() for v in resumed.optimizer.variables]
    assert all(np.array_equal(a, b) for a, b in zip(saved, loaded)) and len(saved) == len(loaded)
    products = float(model.optimizer._u_product), float(resumed.optimizer._u_product)
    print(name, "all optimizer.variables are equal; _u_product: saved %.3g, loaded %.3g" % products)
    model.fit(epochs=1, **fit)
    resumed.fit(epochs=1, **fit)
    worst[name] = float(
        max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
    )
print("largest difference of weights after one more epoch:", worst)
print("lost: Nadam's product of momenta (_u_product)" if max(worst.values()) else "nothing lost")
