"""Build the model, LMS first, load its weights from .weights.h5, and go on training.

Keras 3 saves the optimizer's variables with the weights.
"""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    lms = mnist.lms()
    lms.set_model(model)
    mnist.load_weights(model, mnist.input("mnist.weights.h5"))
    print("weights loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[lms], done=mnist.epochs)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
