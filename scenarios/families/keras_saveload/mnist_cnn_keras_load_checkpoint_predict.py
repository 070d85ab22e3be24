"""Build the model, LMS first, restore a tf.train.Checkpoint, and predict.

There is no train function here: the optimizer's values in the checkpoint have no variables.
"""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    optimizer = mnist.checkpoint_optimizer()
    model = mnist.build(optimizer=optimizer)
    mnist.lms(training=False).set_model(model)
    checkpoint = mnist.tf.train.Checkpoint(optimizer=optimizer, model=model)
    mnist.restore(checkpoint, "training_checkpoints", complete=False)
    mnist.digest(model, "restored")
    mnist.predict(model)
    mnist.finish(model, "predict")


if __name__ == "__main__":
    MnistCnn.run(main)
