"""Load the whole model from Keras' own format, LMS first, and predict."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms(training=False)
    model = mnist.load_model(mnist.input("mnistsavedmodel.keras"), callbacks=[lms])
    print("model loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.predict(model)
    mnist.finish(model, "predict")


if __name__ == "__main__":
    MnistCnn.run(main)
