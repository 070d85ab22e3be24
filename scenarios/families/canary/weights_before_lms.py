"""Load the whole model with stock `load_model`, and only then let LMS edit the graph: too late.

Keras sets the weights through its session, which freezes the graph, and the phase's
LMS_EDIT_IN_PLACE keeps our provider from moving to a fresh session.
"""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    path = mnist.input("mnistsavedmodel.h5")
    model = mnist.keras.models.load_model(path, custom_objects=mnist.custom_objects)
    print("model loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
