"""Build the model, LMS first, restore a tf.train.Checkpoint, and go on training.

In a graph `restore` only prepares operations. They are run here, after LMS has edited the graph
and before anything of the model runs. Eagerly it restores at once, whatever there is by then.
"""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    optimizer = mnist.checkpoint_optimizer()
    model = mnist.build(optimizer=optimizer)
    lms = mnist.lms()
    lms.set_model(model)
    mnist.make_slots(model)
    checkpoint = mnist.tf.train.Checkpoint(optimizer=optimizer, model=model)
    mnist.restore(checkpoint, "training_checkpoints")
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[lms], done=mnist.epochs)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
