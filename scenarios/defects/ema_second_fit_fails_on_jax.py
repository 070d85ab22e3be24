import keras
import numpy as np

keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01, use_ema=True), "mean_squared_error")
model.fit(epochs=1, **fit)
try:
    model.fit(epochs=1, **fit)
    print("keras", keras.__version__, keras.backend.backend(), "second fit: done")
    print("nothing lost")
except Exception as problem:
    print(
        "keras",
        keras.__version__,
        keras.backend.backend(),
        "second fit:",
        type(problem).__name__,
        problem,
    )
    try:
        model.save("ema.keras")
        print("the model can be saved")
    except Exception as problem:
        print("save:", type(problem).__name__, problem)
    print("lost: the model's values; training with use_ema=True cannot go on")
