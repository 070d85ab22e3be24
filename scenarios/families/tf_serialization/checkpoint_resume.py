"""Import the meta graph, LMS first, restore the checkpoint's variables and go on training."""

from families.tf_serialization import classifier, serialization


def main(work):
    saver = work.tf.train.import_meta_graph(work.input(serialization.META_GRAPH))
    work.edit(training=True)
    model = classifier.find(work.graph)
    with work.session() as session:
        saver.restore(session, work.input(serialization.CHECKPOINT))
        work.digest(session, model, "restored", optimizer=True)
        work.train(session, epochs=2)
        work.finish(session, model, "train")


if __name__ == "__main__":
    serialization.run(main)
