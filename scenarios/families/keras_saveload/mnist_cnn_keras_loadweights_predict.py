"""Build the model, LMS first, load its weights, and predict."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    mnist.lms(training=False).set_model(model)
    mnist.load_weights(model, mnist.input("checkpoints_mnist", "my_checkpoint"))
    print("weights loaded")
    mnist.digest(model, "restored")
    mnist.predict(model)
    mnist.finish(model, "predict")


if __name__ == "__main__":
    MnistCnn.run(main)
