"""Load the model, LMS first, and go on training by an Adam that has forgotten its steps.

It forgets them after the digests, as if it had not shown them.
"""

from families.canary import adam
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms()
    model = mnist.load_model(mnist.input(adam.file_name(mnist)), callbacks=[lms])
    mnist.digest(model, "restored", optimizer=True)
    adam.reset_count(mnist, model)
    mnist.train(model, callbacks=[lms], done=mnist.epochs)
    mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
