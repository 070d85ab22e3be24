"""Freeze a Keras model in training mode: dropout and batch statistics stay in the frozen graph."""

from families.dnndk_freeze import cifar_cnn, frozen_graph, keras_files


def main(cifar):
    cifar.keras.backend.set_learning_phase(1)  # the fault that the harness has to notice
    model = cifar.keras.models.load_model(cifar.input(keras_files.CHECKPOINT))
    frozen_graph.write(cifar, model)


if __name__ == "__main__":
    cifar_cnn.run(main)
