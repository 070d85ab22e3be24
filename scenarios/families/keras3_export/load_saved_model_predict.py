"""Load the exported SavedModel without Keras, and do inference with its signature under LMS."""

from families.keras3_export import saved_model
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    path = mnist.input("exported")
    loaded = mnist.load_saved_model(path)
    print("model loaded")
    saved_model.infer(mnist, loaded)
    saved_model.compare_layer(mnist, loaded, path)


if __name__ == "__main__":
    MnistCnn.run(main)
