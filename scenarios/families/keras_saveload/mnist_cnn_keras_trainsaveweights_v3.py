"""Train with LMS, save the weights in the one format of Keras 3."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved", optimizer=True)
    model.save_weights(mnist.output("mnist.weights.h5"))
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
