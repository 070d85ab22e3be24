"""Load what `Model.save` wrote through the local host's I/O device, and train it on replicas."""

from families.distribute import restored
from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    with mnist.mirrored_strategy().scope():
        options = mnist.tf.saved_model.LoadOptions(experimental_io_device="/job:localhost")
        model = mnist.keras.models.load_model(mnist.input("local_save"), options=options)
        restored.claim(model, replicas=mnist.replicas, strategy="MirroredStrategy")
        restored.note_fresh_optimizer(model)
        mnist.digest(model, "restored")
        mnist.train(model, callbacks=[mnist.lms()], done=mnist.epochs)
        mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
