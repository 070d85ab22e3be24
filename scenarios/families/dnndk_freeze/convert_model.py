"""Method 2: from the whole model, saved after training, to a frozen graph."""

from families.dnndk_freeze import frozen_graph, keras_files
from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    cifar.keras.backend.set_learning_phase(0)
    path, classes = cifar.input(keras_files.MODEL), cifar.custom_objects
    model = cifar.keras.models.load_model(path, custom_objects=classes)
    frozen_graph.write(cifar, model)
    frozen_graph.check(cifar)
    keras_files.check_whole_model(cifar, keras_files.MODEL)
    keras_files.check_same_content(cifar, keras_files.MODEL, keras_files.CHECKPOINT)
    cifar.digest(model, "restored", optimizer=True)


if __name__ == "__main__":
    CifarCnn.run(main)
