"""Load the exported SavedModel without Keras, and do inference with its signature under LMS."""

from families.keras3_export import saved_model
from families.keras_saveload.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    loaded = mnist.tf.saved_model.load(mnist.input("exported"))
    print("model loaded")
    saved_model.infer(mnist, loaded)
    layer = mnist.keras.layers.TFSMLayer(mnist.input("exported"), call_endpoint="serve")
    saved_model.compare_layer(mnist, loaded, layer)


if __name__ == "__main__":
    MnistCnn.run(main)
