"""Train with LMS and BackupAndRestore until something interrupts it."""

from families.keras_saveload import checkpoints
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    backup = mnist.keras.callbacks.BackupAndRestore(mnist.output("backup"))
    callbacks = [mnist.lms(), backup, checkpoints.interruption(mnist)]
    try:
        mnist.train(model, callbacks, epochs=checkpoints.EPOCHS)
    except checkpoints.TrainingInterruptError:
        print("training interrupted")
    mnist.digest_state(model, "saved")
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
