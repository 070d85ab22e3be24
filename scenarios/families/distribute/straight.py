"""Train on replicas with LMS for as long as the two phases of a scenario, without a break."""

from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    with mnist.mirrored_strategy().scope():
        model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()], epochs=2 * mnist.epochs)
    mnist.finish_straight(model)


if __name__ == "__main__":
    MnistCnn.run(main)
