"""Import the meta graph, LMS first, restore the checkpoint's variables and predict."""

from common import claim
from families.tf_serialization import classifier, serialization


def main(work):
    saver = work.tf.train.import_meta_graph(work.input(serialization.META_GRAPH))
    work.edit()
    model = classifier.find(work.graph)
    with work.session() as session:
        claim.state("variables with a value before the restore", 0, with_value(work, session))
        saver.restore(session, work.input(serialization.CHECKPOINT))
        claim.state("variables without a value after the restore", 0, work.uninitialized(session))
        work.digest(session, model, "restored")
        work.finish(session, model, "predict")


def with_value(work, session):
    return len(work.tf.global_variables()) - work.uninitialized(session)


if __name__ == "__main__":
    serialization.run(main)
