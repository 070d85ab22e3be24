import shutil

import numpy as np
import tensorflow as tf  # TensorFlow 1.15, graph mode

keras = tf.keras
x, y = np.random.rand(64, 8), np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model = keras.models.Sequential(
    [keras.layers.Dense(8, activation="tanh", input_shape=(8,)), keras.layers.Dense(1)]
)
model.compile(keras.optimizers.Adam(0.01), "mse")
model.fit(epochs=2, **fit)
shutil.rmtree("savedmodel115", ignore_errors=True)
model.save("savedmodel115", save_format="tf")
before = model.predict(x)
keras.backend.clear_session()
resumed = keras.models.load_model("savedmodel115")
print(
    "tensorflow",
    tf.__version__,
    "largest difference of predictions:",
    np.abs(before - resumed.predict(x)).max(),
)
print(
    "optimizer variables of the loaded model:",
    len(resumed.optimizer.variables()) if resumed.optimizer else None,
)
try:
    resumed.fit(epochs=1, **fit)
    print("nothing lost")
except Exception as problem:
    print("fit after load_model:", type(problem).__name__, str(problem)[:250])
    print("lost: a model loaded from a SavedModel cannot be trained")
