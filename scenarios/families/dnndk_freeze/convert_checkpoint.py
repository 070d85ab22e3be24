"""Method 1: from the checkpoint that Keras wrote during training to a frozen graph."""

from families.dnndk_freeze import frozen_graph, keras_files
from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    # Before anything is loaded: what loading builds depends on it.
    cifar.keras.backend.set_learning_phase(0)
    path, classes = cifar.input(keras_files.CHECKPOINT), cifar.custom_objects
    model = cifar.keras.models.load_model(path, custom_objects=classes)
    frozen_graph.write(cifar, model)
    frozen_graph.check(cifar)
    keras_files.check_whole_model(cifar, keras_files.CHECKPOINT)
    cifar.digest(model, "restored", optimizer=True)


if __name__ == "__main__":
    CifarCnn.run(main)
