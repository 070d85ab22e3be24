"""Train with LMS, save model and optimizer with tf.train.Checkpoint."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    optimizer = mnist.checkpoint_optimizer()
    model = mnist.build(optimizer=optimizer)
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved", optimizer=True)
    checkpoint = mnist.tf.train.Checkpoint(optimizer=optimizer, model=model)
    checkpoint.save(mnist.output("training_checkpoints", "ckpt"))
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
