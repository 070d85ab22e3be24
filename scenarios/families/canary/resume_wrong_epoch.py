"""Load the model, LMS first, and go on training as if no epoch had been trained."""

from families.canary import adam
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms()
    model = mnist.load_model(mnist.input(adam.file_name(mnist)), callbacks=[lms])
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[lms], epochs=2 * mnist.epochs)
    mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
