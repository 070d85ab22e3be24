"""Freeze the checkpoint after one weight has changed."""

from families.tf_serialization import classifier, serialization


def main(work):
    saver = work.tf.train.import_meta_graph(work.input(serialization.META_GRAPH))
    last_kernel = classifier.find(work.graph).weights[-2]
    with work.session() as session:
        saver.restore(session, work.input(serialization.CHECKPOINT))
        values = session.run(last_kernel)
        values[0, 0] += 1.0
        last_kernel.load(values, session)
        work.freeze(session, work.output(serialization.FROZEN))


if __name__ == "__main__":
    serialization.run(main)
