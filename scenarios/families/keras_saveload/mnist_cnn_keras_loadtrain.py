"""Load the whole model, LMS first, and go on training."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms()
    model = mnist.load_model(mnist.input("mnistsavedmodel.h5"), callbacks=[lms])
    print("model loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[lms], done=mnist.epochs)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
