"""Load the whole model of another backend, repair what Keras 3 loses, LMS, and go on training."""

from families.keras3_crossbackend import archive
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    path = mnist.input("mnistsavedmodel.keras")
    model = archive.load_repaired(mnist, path)
    lms = mnist.lms()
    lms.set_model(model)
    print("model loaded")
    archive.digest_state(mnist, model, path)
    mnist.train(model, callbacks=[lms])
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
