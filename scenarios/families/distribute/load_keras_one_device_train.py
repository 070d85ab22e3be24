"""Load the `.keras` file under another strategy than it was saved under, and go on training."""

from families.distribute import mnist_cnn, restored


def main(mnist):
    another_strategy = mnist.tf.distribute.OneDeviceStrategy(mnist.device)
    with another_strategy.scope():
        model = mnist.keras.models.load_model(mnist.input("keras_save.keras"))
        restored.state(model, replicas=1, strategy="OneDeviceStrategy")
        mnist.digest(model, "restored", optimizer=True)
        mnist.fit(model)
        mnist.finish(model)


if __name__ == "__main__":
    mnist_cnn.run(main)
