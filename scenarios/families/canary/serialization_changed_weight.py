"""Freeze the checkpoint after one weight has changed."""

from families.tf_serialization.serialization import (
    CHECKPOINT,
    FROZEN,
    META_GRAPH,
    Serialization,
)


def main(work: Serialization) -> None:
    saver = work.tf.train.import_meta_graph(work.input(META_GRAPH))
    last_kernel = work.find().weights[-2]
    with work.session(work.graph) as session:
        saver.restore(session, work.input(CHECKPOINT))
        values = session.run(last_kernel)
        values[0, 0] += 1.0
        last_kernel.load(values, session)
        work.freeze(session, work.output(FROZEN))


if __name__ == "__main__":
    Serialization.run(main)
