"""Load the whole model, repair what `load_model` of Keras 3 loses, LMS, and go on training.

With a Keras that loses nothing it does what `mnist_cnn_keras_loadtrain.py` does.
"""

from families.keras_saveload.mnist_cnn import MnistCnn
from workload import loading


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms()
    path = mnist.input("mnistsavedmodel.h5")
    if mnist.phase.keras3 and not mnist.phase.reference:
        model = mnist.load_model(path, callbacks=[])
        loading.repair_optimizer(model, path)
        lms.set_model(model)
    else:
        model = mnist.load_model(path, callbacks=[lms])
    print("model loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[lms], done=mnist.epochs)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
