import os
import shutil

import keras
import numpy as np

x, y = np.random.RandomState(0).rand(64, 8), np.random.RandomState(1).rand(64, 1)
fit = dict(x=x, y=y, shuffle=False, verbose=0)
path = "/tmp/orbax_resumed"
for kept in (3, 1):  # in the guide, and by default
    shutil.rmtree(path, ignore_errors=True)
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", "mean_squared_error")
    model.fit(epochs=3, callbacks=[keras.callbacks.OrbaxCheckpoint(path, max_to_keep=kept)], **fit)
    resumed = keras.saving.load_model(path)
    saving = keras.callbacks.OrbaxCheckpoint(path, max_to_keep=kept)
    try:
        resumed.fit(epochs=2, callbacks=[saving], **fit)
    except Exception as problem:
        print("max_to_keep", kept, "resumed fit:", type(problem).__name__, problem)
    last = keras.saving.load_model(path)
    counts = [int(each.optimizer.iterations) for each in (resumed, last)]
    print("max_to_keep", kept, sorted(os.listdir(path)), "steps trained, saved:", counts)
