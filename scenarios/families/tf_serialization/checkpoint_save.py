"""Train with LMS, save a checkpoint and the meta graph."""

from common import claim
from families.tf_serialization import classifier, serialization


def main(work):
    tf = work.tf
    classifier.build(tf)
    saver = tf.train.Saver()
    # By itself `save` would write the meta graph of the edited graph, with its swap operations.
    # This one is of the model alone: who loads it decides about swapping.
    saver.export_meta_graph(work.output(serialization.META_GRAPH))
    serialization.note("the meta graph was exported before LMS edited: it has no swap operations")
    work.edit(training=True)
    with work.session() as session:
        session.run(tf.global_variables_initializer())
        work.train(session)
        saver.save(session, work.output(serialization.CHECKPOINT), write_meta_graph=False)
        claim.state(
            "the files of the checkpoint",
            "checkpoint graph.ckpt.data-00000-of-00001 graph.ckpt.index graph.ckpt.meta",
            " ".join(serialization.files(work.output("results"))),
        )
        model = classifier.find(work.graph)
        work.digest(session, model, "saved", optimizer=True)
        work.finish(session, model, "train")


if __name__ == "__main__":
    serialization.run(main)
