"""Load the HDF5 file without a strategy, and go on training without compiling it again."""

from families.distribute import restored
from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    with mnist.tf.device(mnist.device):
        model = mnist.load_model(mnist.input("keras_save.h5"), callbacks=[])
        restored.claim(model, replicas=1)
        mnist.digest(model, "restored", optimizer=True)
        mnist.train(model, callbacks=[mnist.lms()])
        mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
