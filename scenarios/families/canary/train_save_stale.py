"""Save, train on, and lose the second save: the file is that of the first."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.build()
    lms = mnist.lms()
    mnist.train(model, callbacks=[lms])
    model.save(mnist.output("mnistsavedmodel.h5"))
    mnist.train(model, callbacks=[lms])
    mnist.digest(model, "saved", optimizer=True)
    try:
        model.save(mnist.output("mnistsavedmodel.h5") + "/is_no_directory.h5")
    except OSError:
        pass  # the fault that the harness has to notice
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
