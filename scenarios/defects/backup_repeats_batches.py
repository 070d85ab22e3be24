"""tf.keras 2.15, tf-keras 2.21: BackupAndRestore(save_freq=int) goes on within an epoch, on the first batches of the data again."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import shutil

import numpy as np
import tensorflow as tf

tf.get_logger().setLevel("ERROR")
keras = tf.keras


class Show(keras.Model):
    seen = []

    def call(self, x):
        tf.py_function(lambda v: Show.seen.append(int(v)), [x[0, 0]], [])
        return self.d(x)

    def __init__(self):
        super().__init__()
        self.d = keras.layers.Dense(1)


class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and run == 0:
            raise KeyboardInterrupt


x, y = np.arange(5, dtype="f").reshape(5, 1), np.zeros((5, 1), "f")
shutil.rmtree("backup2", True)
for run in range(2):
    Show.seen = []
    model = Show()
    model.compile("sgd", "mse")
    try:
        model.fit(
            x,
            y,
            batch_size=1,
            epochs=2,
            shuffle=False,
            verbose=0,
            callbacks=[keras.callbacks.BackupAndRestore("backup2", save_freq=3), Stop()],
        )
    except KeyboardInterrupt:
        pass
    print(
        "TensorFlow",
        tf.__version__,
        "first run, one epoch:" if run == 0 else "second run, goes on after the backup of batch 2:",
        Show.seen,
    )
