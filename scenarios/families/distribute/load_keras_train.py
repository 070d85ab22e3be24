"""Load the `.keras` file without a strategy, and go on training without compiling it again."""

from families.distribute import mnist_cnn, restored


def main(mnist):
    with mnist.tf.device(mnist.device):
        model = mnist.keras.models.load_model(mnist.input("keras_save.keras"))
        restored.state(model, replicas=1)
        mnist.digest(model, "restored", optimizer=True)
        mnist.fit(model)
        mnist.finish(model)


if __name__ == "__main__":
    mnist_cnn.run(main)
