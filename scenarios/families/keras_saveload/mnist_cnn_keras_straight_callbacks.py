"""Train with LMS for the epochs that ModelCheckpoint saves and one more, without a break."""

from families.keras_saveload import checkpoints
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()], epochs=checkpoints.EPOCHS + mnist.epochs)
    mnist.finish_straight(model)


if __name__ == "__main__":
    MnistCnn.run(main)
