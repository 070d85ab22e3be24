"""Load the frozen graph, with no Keras model, LMS first, and predict."""

from families.dnndk_freeze import cifar_cnn, frozen_graph


def main(cifar):
    frozen = frozen_graph.load(cifar)
    cifar.lms(training=False).run(frozen.graph)
    with frozen.open():
        frozen.digest("restored")
        frozen.predict()
        frozen.finish()


if __name__ == "__main__":
    cifar_cnn.run(main)
