"""Restore the checkpoint and freeze the model: its variables become constants in one file."""

from common import claim
from families.tf_serialization import serialization


def main(work):
    saver = work.tf.train.import_meta_graph(work.input(serialization.META_GRAPH))
    with work.session() as session:
        saver.restore(session, work.input(serialization.CHECKPOINT))
        frozen = work.freeze(session, work.output(serialization.FROZEN))
    files = serialization.files(work.output("results"))
    claim.state("the files of the frozen model", "frozen_model.pb", " ".join(files))
    variables = [node for node in frozen.node if "Var" in node.op]
    claim.state("variable operations in the frozen model", 0, len(variables))
    training = [node for node in frozen.node if node.name.startswith(("Train/", "save/"))]
    claim.state("training and saving operations in the frozen model", 0, len(training))


if __name__ == "__main__":
    serialization.run(main)
