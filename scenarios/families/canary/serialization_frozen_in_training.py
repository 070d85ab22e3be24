"""Freeze the graph that is built for training: its dropout goes on."""

from families.tf_serialization import classifier, serialization


def main(work):
    tf = work.tf
    classifier.build(tf, training=True)
    with work.session() as session:
        tf.train.Saver().restore(session, work.input(serialization.CHECKPOINT))
        work.freeze(session, work.output(serialization.FROZEN))


if __name__ == "__main__":
    serialization.run(main)
