import keras
import numpy as np

keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mean_squared_error")
model.fit(epochs=2, **fit)
model.save("any.h5")  # without this line nothing is lost
print(
    "keras",
    keras.__version__,
    "'optimizer' in get_compile_config() after saving as HDF5:",
    "optimizer" in model.get_compile_config(),
)
model.save("after.keras")
resumed = keras.models.load_model("after.keras")
before, after = type(model.optimizer).__name__, type(resumed.optimizer).__name__
model.fit(epochs=1, **fit)
resumed.fit(epochs=1, **fit)
worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
print(
    "optimizer:", before, "->", after, "largest difference of weights after one more epoch:", worst
)
print("lost: the optimizer and its state" if before != after else "nothing lost")
