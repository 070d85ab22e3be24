"""Load the whole model that was saved after training, LMS first, and go on training."""

from families.dnndk_freeze import keras_files
from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    lms = cifar.lms()
    model = cifar.load_model(cifar.input(keras_files.MODEL), callbacks=[lms])
    cifar.digest(model, "restored", optimizer=True)
    cifar.train(model, callbacks=[lms], done=cifar.epochs)
    cifar.finish(model)


if __name__ == "__main__":
    CifarCnn.run(main)
