"""Build the model, LMS first, load its weights from HDF5, and go on training."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    lms = mnist.lms()
    lms.set_model(model)
    mnist.load_weights(model, mnist.input("mnist_weights.h5"))
    print("weights loaded")
    mnist.digest(model, "restored")
    mnist.train(model, callbacks=[lms])
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
