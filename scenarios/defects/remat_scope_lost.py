import keras
import numpy as np

x, y = np.random.rand(64, 8), np.random.rand(64, 1)
with keras.RematScope(mode="full"):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
model.compile(
    "sgd", "mean_squared_error", run_eagerly=keras.backend.backend() == "tensorflow"
)  # see keras#21207
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model.fit(epochs=1, **fit)
model.save("remat.keras")
resumed = keras.models.load_model("remat.keras")
cloned = keras.models.clone_model(model)
modes = [
    [getattr(layer, "_remat_mode", None) and layer._remat_mode.mode for layer in m.layers]
    for m in (model, resumed, cloned)
]
print(
    "keras",
    keras.__version__,
    "rematerialization of each layer: model",
    modes[0],
    "load_model",
    modes[1],
    "clone_model",
    modes[2],
)
print("'remat' in the layer's config:", any("remat" in key for key in model.layers[0].get_config()))
model.fit(epochs=1, **fit)
resumed.fit(epochs=1, **fit)
worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
print("largest difference of weights after one more epoch:", worst, "(only memory and time differ)")
print("lost: rematerialization" if modes[0] != modes[1] else "nothing lost")
