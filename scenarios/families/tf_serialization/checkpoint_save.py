"""Train with LMS, save a checkpoint and the meta graph."""

from common import marker
from families.tf_serialization import classifier
from families.tf_serialization.serialization import CHECKPOINT, META_GRAPH, Serialization, files


def main(work: Serialization) -> None:
    tf = work.tf
    classifier.build(tf)
    saver = tf.train.Saver()
    # By itself `save` would write the meta graph of the edited graph, with its swap operations.
    # This one is of the model only: who loads it decides about swapping.
    saver.export_meta_graph(work.output(META_GRAPH))
    marker.note("the meta graph was exported before LMS edited: it has no swap operations")
    work.edit(training=True)
    with work.session(work.graph) as session:
        session.run(tf.global_variables_initializer())
        work.train(session)
        saver.save(session, work.output(CHECKPOINT), write_meta_graph=False)
        marker.claim(
            "the files of the checkpoint",
            "checkpoint graph.ckpt.data-00000-of-00001 graph.ckpt.index graph.ckpt.meta",
            " ".join(files(work.output("results"))),
        )
        work.digest(session, "saved", optimizer=True)
        work.finish(session, "train")


if __name__ == "__main__":
    Serialization.run(main)
