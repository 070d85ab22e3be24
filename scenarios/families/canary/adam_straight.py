"""Train by Adam with LMS for two epochs, without a break."""

from families.canary import adam
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = adam.build(mnist)
    mnist.train(model, callbacks=[mnist.lms()], epochs=2 * mnist.epochs)
    mnist.finish_straight(model)


if __name__ == "__main__":
    MnistCnn.run(main)
