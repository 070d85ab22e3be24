"""Load the frozen graph, with no Keras model, LMS first, and predict."""

from families.dnndk_freeze import frozen_graph
from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    frozen = frozen_graph.load(cifar)
    cifar.lms(training=False).run(frozen.graph)
    with frozen.session(frozen.graph) as session:
        frozen.digest(session, "restored")
        frozen.predict(session)
        frozen.finish(session, "predict")


if __name__ == "__main__":
    CifarCnn.run(main)
