import os
import shutil

import keras
import numpy as np

PATH = os.path.abspath("orbax_sequential")

x, y = np.random.RandomState(0).rand(64, 8), np.random.RandomState(1).rand(64, 1)
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile("adam", "mean_squared_error")
shutil.rmtree(PATH, ignore_errors=True)
saving = keras.callbacks.OrbaxCheckpoint(PATH)
model.fit(x, y, epochs=2, shuffle=False, verbose=0, callbacks=[saving])
loaded = keras.saving.load_model(PATH)
print(
    "keras", keras.__version__, "paths:", model.weights[0].path, "loaded:", loaded.weights[0].path
)
for of in (lambda each: each.weights, lambda each: each.optimizer.variables):
    pairs = [(np.array(a), np.array(b)) for a, b in zip(of(model), of(loaded))]
    print(
        "variables that differ:", sum(not np.array_equal(a, b) for a, b in pairs), "of", len(pairs)
    )
worst = np.abs(model.predict(x, verbose=0) - loaded.predict(x, verbose=0)).max()
print("largest difference of predictions:", worst)
print("lost: weights and moments of a Sequential model" if worst else "nothing lost")
