"""Train with LMS while ModelCheckpoint saves every epoch, and the best one."""

from families.keras_saveload import checkpoints
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    saving = [*checkpoints.savers(mnist), checkpoints.observer(mnist)]
    mnist.train(model, callbacks=[mnist.lms(), *saving], epochs=checkpoints.EPOCHS)
    mnist.digest(model, "saved", optimizer=True)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
