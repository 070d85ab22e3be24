"""Train with LMS, save the weights in an HDF5 file."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved")
    model.save_weights(mnist.output("mnist_weights.h5"))
    print("weights saved")
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
