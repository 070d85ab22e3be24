"""Import the meta graph, LMS first, restore the checkpoint's variables and go on training."""

from families.tf_serialization.serialization import CHECKPOINT, META_GRAPH, Serialization


def main(work: Serialization) -> None:
    saver = work.tf.train.import_meta_graph(work.input(META_GRAPH))
    work.edit(training=True)
    with work.session(work.graph) as session:
        saver.restore(session, work.input(CHECKPOINT))
        work.digest(session, "restored", optimizer=True)
        work.train(session, epochs=2)
        work.finish(session, "train")


if __name__ == "__main__":
    Serialization.run(main)
