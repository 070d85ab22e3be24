"""Load with the low-level API what `Model.save` wrote, and do inference on replicas."""

from families.distribute import inference
from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    another_strategy = mnist.mirrored_strategy()
    with another_strategy.scope():
        loaded = mnist.load_saved_model(mnist.input("keras_saved_model"))
        inference_func = mnist.inference_func(loaded)
        inference.distributed(mnist, another_strategy, inference_func)


if __name__ == "__main__":
    MnistCnn.run(main)
