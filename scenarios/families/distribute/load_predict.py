"""Load the SavedModel with the low-level API, and do inference with its signature."""

from families.distribute import inference
from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    with mnist.tf.device(mnist.device):
        loaded = mnist.load_saved_model(mnist.input("tf_save"))
        inference_func = mnist.inference_func(loaded)
        inference.run(mnist, inference_func)


if __name__ == "__main__":
    MnistCnn.run(main)
