"""Freeze a Keras model in training mode: dropout and batch statistics stay in the frozen graph."""

from families.dnndk_freeze import frozen_graph, keras_files
from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    cifar.keras.backend.set_learning_phase(1)  # the fault that the harness has to notice
    path, classes = cifar.input(keras_files.CHECKPOINT), cifar.custom_objects
    model = cifar.keras.models.load_model(path, custom_objects=classes)
    frozen_graph.write(cifar, model)


if __name__ == "__main__":
    CifarCnn.run(main)
