"""Load the whole model that another backend has saved, show it to LMS, and go on training."""

from families.keras3_crossbackend import archive
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    path = mnist.input("mnistsavedmodel.keras")
    lms = mnist.lms()
    model = mnist.load_model(path, callbacks=[lms])
    print("model loaded")
    archive.digest_state(mnist, model, path)
    mnist.train(model, callbacks=[lms])
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
