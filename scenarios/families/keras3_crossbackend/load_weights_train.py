"""Build the model and its optimizer, LMS first, load what another backend saved, go on training."""

from families.keras3_crossbackend import archive
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    path = mnist.input("mnist.weights.h5")
    model = mnist.build()
    lms = mnist.lms()
    lms.set_model(model)
    model.optimizer.build(model.trainable_variables)  # else Keras has nothing to load its state to
    mnist.load_weights(model, path)
    print("weights loaded")
    archive.digest_state(mnist, model, path)
    mnist.train(model, callbacks=[lms])
    mnist.finish(model, "train")


if __name__ == "__main__":
    MnistCnn.run(main)
