"""Load the `.keras` file under another strategy than it was saved under, and go on training."""

from families.distribute import restored
from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    another_strategy = mnist.tf.distribute.OneDeviceStrategy(mnist.device)
    with another_strategy.scope():
        model = mnist.load_model(mnist.input("keras_save.keras"), callbacks=[])
        restored.claim(model, replicas=1, strategy="OneDeviceStrategy")
        mnist.digest(model, "restored", optimizer=True)
        mnist.train(model, callbacks=[mnist.lms()])
        mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
