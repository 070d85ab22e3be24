"""Build the model and its optimizer, LMS first, load .weights.h5, and go on training.

Keras 3 saves the optimizer's variables with the weights, and loads them where there are some: an
optimizer has none before it is built, which `fit` would do.
"""

from common import marker
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    lms = mnist.lms()
    lms.set_model(model)
    model.optimizer.build(model.trainable_variables)
    marker.note(
        "repaired: the optimizer is built before load_weights, which passes over one that is not"
    )
    mnist.load_weights(model, mnist.input("mnist.weights.h5"))
    print("weights loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[lms], done=mnist.epochs)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
