"""Train with LMS, save the model without its optimizer: layers and weights."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved")
    model.save(mnist.output("mnistsavedmodel.h5"), include_optimizer=False)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
