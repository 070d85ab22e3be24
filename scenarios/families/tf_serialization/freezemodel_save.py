"""Restore the checkpoint and freeze the model: its variables become constants in one file."""

from common import marker
from families.tf_serialization.serialization import (
    CHECKPOINT,
    FROZEN,
    META_GRAPH,
    Serialization,
    files,
)


def main(work: Serialization) -> None:
    saver = work.tf.train.import_meta_graph(work.input(META_GRAPH))
    with work.session(work.graph) as session:
        saver.restore(session, work.input(CHECKPOINT))
        frozen = work.freeze(session, work.output(FROZEN))
    found = files(work.output("results"))
    marker.claim("the files of the frozen model", "frozen_model.pb", " ".join(found))
    variables = [node for node in frozen.node if "Var" in node.op]
    marker.claim("variable operations in the frozen model", 0, len(variables))
    training = [node for node in frozen.node if node.name.startswith(("Train/", "save/"))]
    marker.claim("training and saving operations in the frozen model", 0, len(training))


if __name__ == "__main__":
    Serialization.run(main)
