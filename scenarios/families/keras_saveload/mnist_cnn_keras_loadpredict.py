"""Load the whole model, LMS first, and predict."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms(training=False)
    model = mnist.load_model(mnist.input("mnistsavedmodel.h5"), callbacks=[lms])
    print("model loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.predict(model)
    mnist.finish(model, "predict")


if __name__ == "__main__":
    MnistCnn.run(main)
