"""Start the same training again, LMS first: BackupAndRestore goes on where it was interrupted."""

import shutil

from families.keras_saveload import checkpoints
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    directory = mnist.output("backup")  # it is deleted when training is over
    shutil.copytree(mnist.input("backup"), directory)
    model = mnist.build()
    backup = mnist.keras.callbacks.BackupAndRestore(directory)
    callbacks = [mnist.lms(), backup, checkpoints.resumption(mnist)]
    mnist.train(model, callbacks, epochs=checkpoints.EPOCHS)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
