import shutil

import numpy as np
import tensorflow.compat.v1 as tf  # 1.15

tf.disable_v2_behavior()
keras = tf.keras
inputs = keras.Input((4,))
heads = [keras.layers.Dense(1, name=name)(inputs) for name in ("first", "second")]
model = keras.Model(inputs, heads)
model.compile("sgd", "mse", metrics={"first": "mae", "second": "mae"})
model.fit(np.ones((8, 4)), [np.ones((8, 1))] * 2, verbose=0)
shutil.rmtree("outputs", ignore_errors=True)
model.save("outputs", save_format="tf")
try:
    keras.models.load_model("outputs")
    print("nothing lost")
except ValueError as problem:
    print("TensorFlow", tf.__version__, problem)
    print("lost: the names of the outputs")
