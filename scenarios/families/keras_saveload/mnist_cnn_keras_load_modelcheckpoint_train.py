"""Load what ModelCheckpoint saved of the last epoch, LMS first, and go on training."""

from families.keras_saveload import checkpoints
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    lms = mnist.lms()
    model = mnist.load_model(mnist.input(checkpoints.LAST), callbacks=[lms])
    print("model loaded")
    mnist.digest(model, "restored", optimizer=True)
    mnist.train(model, callbacks=[lms], done=checkpoints.EPOCHS)
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
