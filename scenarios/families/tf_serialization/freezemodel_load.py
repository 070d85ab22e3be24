"""Import the frozen graph under a prefix, LMS first, and predict."""

from families.tf_serialization.serialization import Serialization


def main(work: Serialization) -> None:
    work.tf.import_graph_def(work.frozen_graph(), name="prefix")
    work.edit()
    work.find(prefix="prefix/")
    with work.session(work.graph) as session:
        work.digest(session, "restored")
        work.finish(session, "predict")


if __name__ == "__main__":
    Serialization.run(main)
