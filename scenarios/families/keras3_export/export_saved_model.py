"""Export a saved model for inference as a SavedModel: its forward pass, and no Keras."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.load_model(mnist.input("mnistsavedmodel.keras"), callbacks=[])
    model.export(mnist.output("exported"), format="tf_saved_model", verbose=False)
    print("model exported")


if __name__ == "__main__":
    MnistCnn.run(main)
