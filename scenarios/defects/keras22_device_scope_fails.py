import keras  # keras-team Keras 2.2.4, TensorFlow 1.15
import numpy as np
import tensorflow as tf

x, y = np.random.rand(16, 8, 8, 3), np.random.rand(16, 1)
try:
    with tf.device("/cpu:0"):
        model = keras.models.Sequential(
            [
                keras.layers.Conv2D(4, 3, input_shape=(8, 8, 3)),
                keras.layers.BatchNormalization(),
                keras.layers.Flatten(),
                keras.layers.Dense(1),
            ]
        )
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        model.save("/tmp/device22.h5")
        keras.models.load_model("/tmp/device22.h5").fit(x, y, verbose=0)
    print(
        "keras",
        keras.__version__,
        "tensorflow",
        tf.__version__,
        "BatchNormalization in a device scope: done",
    )
    print("nothing lost")
except AttributeError as problem:
    print(
        "keras",
        keras.__version__,
        "tensorflow",
        tf.__version__,
        "BatchNormalization in a device scope:",
        problem,
    )
    print("lost: models with BatchNormalization can be neither built nor loaded in a device scope")
