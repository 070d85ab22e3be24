"""Export a saved model for inference as an ONNX file."""

from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    model = mnist.load_model(mnist.input("mnistsavedmodel.keras"), callbacks=[])
    model.predict(mnist.x_test[:1], verbose=0)  # Keras exports no model that was never called
    model.export(mnist.output("exported.onnx"), format="onnx", verbose=False)
    print("model exported")


if __name__ == "__main__":
    MnistCnn.run(main)
