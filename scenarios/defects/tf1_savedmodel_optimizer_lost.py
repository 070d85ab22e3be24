"""TensorFlow 1.15 tf.keras: a SavedModel holds the optimizer, and load_model gives an optimizer in its first state."""

import shutil

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.enable_resource_variables()
tf.logging.set_verbosity("ERROR")
keras = tf.keras
x, y = np.random.RandomState(0).rand(40, 8), np.random.RandomState(1).rand(40, 1)
model = keras.Sequential([keras.layers.Dense(4, input_shape=(8,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(), "mse")
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
shutil.rmtree("sm", True)
model.save("sm", save_format="tf")
print(
    "in the file:",
    len([n for n, _ in tf.train.list_variables("sm/variables/variables") if "OPTIMIZER_SLOT" in n]),
    "slots",
)
loaded = keras.models.load_model("sm")
loaded._make_train_function()
print(
    "iterations before the save and after the load:",
    keras.backend.get_value(model.optimizer.iterations),
    keras.backend.get_value(loaded.optimizer.iterations),
)
for before, after in list(zip(model.optimizer.get_weights(), loaded.optimizer.get_weights()))[1:3]:
    print("max of a moment before and after:", abs(before).max(), abs(after).max())
