"""Method 3: from the architecture as JSON and the weights as HDF5 to a frozen graph."""

from families.dnndk_freeze import frozen_graph, keras_files
from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    cifar.keras.backend.set_learning_phase(0)
    with open(cifar.input(keras_files.ARCHITECTURE)) as file:
        classes = cifar.custom_objects
        model = cifar.keras.models.model_from_json(file.read(), custom_objects=classes)
    model.load_weights(cifar.input(keras_files.WEIGHTS))
    frozen_graph.write(cifar, model)
    frozen_graph.check(cifar)
    keras_files.check_weights_only(cifar, model)
    cifar.digest(model, "restored")


if __name__ == "__main__":
    CifarCnn.run(main)
