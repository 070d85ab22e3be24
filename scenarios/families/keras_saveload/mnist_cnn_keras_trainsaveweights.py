"""Train with LMS, save the weights in the format that this Keras gives a name without extension.

tf.keras writes a TensorFlow checkpoint, keras-team Keras an HDF5 file of that name.
"""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved")
    model.save_weights(mnist.output("checkpoints_mnist", "my_checkpoint"))
    print("weights saved")
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
