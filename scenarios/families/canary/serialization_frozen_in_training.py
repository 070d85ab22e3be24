"""Freeze the graph that is built for training: its dropout goes on."""

from families.tf_serialization import classifier
from families.tf_serialization.serialization import CHECKPOINT, FROZEN, Serialization


def main(work: Serialization) -> None:
    classifier.build(work.tf, training=True)
    with work.session(work.graph) as session:
        work.tf.train.Saver().restore(session, work.input(CHECKPOINT))
        work.freeze(session, work.output(FROZEN))


if __name__ == "__main__":
    Serialization.run(main)
