"""Train with LMS and BackupAndRestore until something interrupts it."""

from families.keras_saveload import checkpoints, mnist_cnn


def main(mnist):
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
    mnist_cnn.run(main)
