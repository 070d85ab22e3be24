"""Load what ModelCheckpoint saved of the best epoch, LMS first, and go on training."""

from families.keras_saveload import checkpoints
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms()
    model = mnist.load_model(mnist.input(checkpoints.BEST), callbacks=[lms])
    print("model loaded")
    checkpoints.claim_best(mnist, model)
    mnist.train(model, callbacks=[lms])
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
