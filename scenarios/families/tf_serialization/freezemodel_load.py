"""Import the frozen graph under a prefix, LMS first, and predict."""

from families.tf_serialization import classifier, serialization


def main(work):
    graph_def = work.read_graph(work.input(serialization.FROZEN))
    work.tf.import_graph_def(graph_def, name="prefix")
    work.edit()
    model = classifier.find(work.graph, prefix="prefix/")
    with work.session() as session:
        work.digest(session, model, "restored")
        work.finish(session, model, "predict")


if __name__ == "__main__":
    serialization.run(main)
