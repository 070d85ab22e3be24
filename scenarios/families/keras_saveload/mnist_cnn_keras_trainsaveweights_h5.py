"""Train with LMS, save the weights in an HDF5 file."""

from families.keras_saveload import mnist_cnn


def main(mnist):
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved")
    model.save_weights(mnist.output("mnist_weights.h5"))
    print("weights saved")
    mnist.finish(model, "train")


if __name__ == "__main__":
    mnist_cnn.run(main)
