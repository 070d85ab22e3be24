import shutil

import keras
import numpy as np

x, y = np.random.RandomState(0).rand(64, 8), np.random.RandomState(1).rand(64, 1)


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epochs = (epoch, batch), []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if (self.epochs[-1], batch) == self.at:
            raise KeyboardInterrupt


shutil.rmtree("backup", ignore_errors=True)
ran = []
for interrupt in (Interrupt(2, 2), Interrupt(2, 2), Interrupt(9, 9)):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile("sgd", "mean_squared_error")
    try:
        model.fit(
            x,
            y,
            batch_size=16,
            epochs=4,
            verbose=0,
            callbacks=[keras.callbacks.BackupAndRestore("backup", save_freq=2), interrupt],
        )
    except KeyboardInterrupt:
        pass
    ran.append(interrupt.epochs)
print("keras", keras.__version__, "epochs of the first, second and third start:", ran)
print(
    "lost: the epoch; the third start begins at epoch %d, the second at %d" % (ran[2][0], ran[1][0])
    if ran[2][0] < ran[1][0]
    else "nothing lost"
)
