"""Build the model without compiling it, LMS first, load its weights from .weights.h5, predict."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build(compiled=False)
    mnist.lms(training=False).set_model(model)
    mnist.load_weights(model, mnist.input("mnist.weights.h5"))
    print("weights loaded")
    mnist.digest(model, "restored")
    mnist.predict(model)
    mnist.finish(model, "predict")


if __name__ == "__main__":
    MnistCnn.run(main)
