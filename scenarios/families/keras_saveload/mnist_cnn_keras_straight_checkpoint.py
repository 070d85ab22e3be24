"""Train with LMS, and the optimizer of a `tf.train.Checkpoint`, without a break."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build(optimizer=mnist.checkpoint_optimizer())
    mnist.train(model, callbacks=[mnist.lms()], epochs=2 * mnist.epochs)
    mnist.finish_straight(model)


if __name__ == "__main__":
    MnistCnn.run(main)
