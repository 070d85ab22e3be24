import keras
import numpy as np

keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mean_squared_error")
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model.fit(epochs=2, **fit)
model.save("adam.h5")
resumed = keras.models.load_model("adam.h5")
saved, loaded = len(model.optimizer.variables), len(resumed.optimizer.variables)
print(
    "keras", keras.__version__, keras.backend.backend(), "optimizer variables:", saved, "->", loaded
)
print(
    "iterations:",
    int(keras.ops.convert_to_numpy(model.optimizer.iterations)),
    "->",
    int(keras.ops.convert_to_numpy(resumed.optimizer.iterations)),
)
try:
    resumed.fit(epochs=1, **fit)
except Exception as problem:
    print("fit after load_model:", type(problem).__name__, str(problem)[:200])
    resumed = keras.models.load_model("adam.h5", compile=False)
    resumed.compile(keras.optimizers.Adam(0.01), "mean_squared_error")
    resumed.fit(epochs=1, **fit)
model.fit(epochs=1, **fit)
worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
print("largest difference of weights after one more epoch:", worst)
print("lost: the optimizer's state" if saved != loaded else "nothing lost")
