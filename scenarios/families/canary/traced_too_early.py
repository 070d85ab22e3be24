"""Load the whole model, train one step, and only then bring LMS: the function is traced already.

A trace cannot be edited any more, nothing warns of it, and the phase's LMS_EDIT_IN_PLACE keeps our
provider from making the model a fresh function.
"""

from families.keras_saveload.mnist_cnn import MnistCnn
from workload import loading


def main(mnist: MnistCnn) -> None:
    path = mnist.input("mnistsavedmodel.h5")
    model = mnist.load_model(path, callbacks=[])
    if mnist.phase.keras3:
        loading.repair_optimizer(model, path)  # else it could not be trained
    print("model loaded")
    mnist.digest(model, "restored", optimizer=True)
    batch = slice(0, mnist.batch_size)
    model.fit(mnist.x_train[batch], mnist.y_train[batch], mnist.batch_size, verbose=0)
    mnist.runtime.steps.ran("train")
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
