"""Train with LMS, save the whole model in Keras' own format: layers, weights and optimizer."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved", optimizer=True)
    model.save(mnist.output("mnistsavedmodel.keras"))
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
