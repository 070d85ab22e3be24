import shutil

import keras
import numpy as np

x, y = 5 + np.random.RandomState(0).rand(64, 8), np.random.RandomState(1).rand(64, 1)
keras.utils.set_random_seed(1)
normalization = keras.layers.Normalization()
normalization.adapt(x)
inputs = keras.Input((8,))
model = keras.Model(inputs, keras.layers.Dense(1)(normalization(inputs)))
model.compile("adam", "mean_squared_error")
shutil.rmtree("/tmp/orbax_normalization", ignore_errors=True)
saving = keras.callbacks.OrbaxCheckpoint("/tmp/orbax_normalization")
model.fit(x, y, epochs=2, shuffle=False, verbose=0, callbacks=[saving])
loaded = keras.saving.load_model("/tmp/orbax_normalization")
pairs = [(np.array(a), np.array(b)) for a, b in zip(model.weights, loaded.weights)]
print("keras", keras.__version__, "weights equal:", all(np.array_equal(a, b) for a, b in pairs))
print("means in use:", *[float(np.array(each.layers[1].mean)[0, 0]) for each in (model, loaded)])
worst = np.abs(model.predict(x, verbose=0) - loaded.predict(x, verbose=0)).max()
print("largest difference of predictions:", worst)
print("lost: what Normalization has learned" if worst else "nothing lost")
