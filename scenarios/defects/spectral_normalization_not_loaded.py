"""tf.keras 2.15, tf-keras 2.21: a .keras file with SpectralNormalization cannot be loaded."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

keras = tf.keras
model = keras.Sequential(
    [
        keras.layers.Input((8,)),
        keras.layers.SpectralNormalization(keras.layers.Dense(4)),
        keras.layers.Dense(1),
    ]
)
for form in ("h5", "keras"):
    model.save("s." + form, save_format=form)
    try:
        keras.models.load_model("s." + form)
        print("TensorFlow", tf.__version__, form, "loaded")
    except Exception as e:
        print("TensorFlow", tf.__version__, form, type(e).__name__, str(e)[:120])
