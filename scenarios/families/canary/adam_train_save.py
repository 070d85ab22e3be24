"""Train by Adam with LMS, save the whole model."""

from families.canary import adam
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = adam.build(mnist)
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved", optimizer=True)
    model.save(mnist.output(adam.file_name(mnist)))
    mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
