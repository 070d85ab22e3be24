import keras
import numpy as np

x, y = np.random.RandomState(0).rand(64, 8), np.random.RandomState(1).rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)


def build():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), "mean_squared_error")
    return model


model = build()
model.fit(epochs=2, **fit)
model.save_weights("adam.weights.h5")
unbuilt, built = build(), build()
built.optimizer.build(built.trainable_variables)
model_steps = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
for resumed in (unbuilt, built):
    resumed.load_weights("adam.weights.h5")
steps = [
    int(keras.ops.convert_to_numpy(resumed.optimizer.iterations)) for resumed in (unbuilt, built)
]
for each in (model, unbuilt, built):
    each.fit(epochs=1, **fit)
worst = [
    max(np.abs(a - b).max() for a, b in zip(model.get_weights(), m.get_weights()))
    for m in (unbuilt, built)
]
print(
    "keras",
    keras.__version__,
    "iterations saved",
    model_steps,
    "loaded: optimizer not built",
    steps[0],
    "built before",
    steps[1],
)
print(
    "largest difference of weights after one more epoch: optimizer not built",
    worst[0],
    "built before",
    worst[1],
)
print("lost: the state of an optimizer that is not built yet" if worst[0] else "nothing lost")
