"""Train with LMS as the phases do that save and load a model between, without that break."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()], epochs=2 * mnist.epochs)
    mnist.finish_straight(model)


if __name__ == "__main__":
    MnistCnn.run(main)
