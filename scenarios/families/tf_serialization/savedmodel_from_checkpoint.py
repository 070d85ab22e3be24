"""Import the meta graph, restore the variables, save a SavedModel: no model code takes part."""

from common import claim
from families.tf_serialization import classifier, savedmodel, serialization


def main(work):
    tf = work.tf
    saver = tf.train.import_meta_graph(work.input(serialization.META_GRAPH))
    directory = work.output(savedmodel.DIRECTORY)
    with work.session() as session:
        saver.restore(session, work.input(serialization.CHECKPOINT))
        savedmodel.save(tf, session, directory, classifier.find(work.graph))
    claim.state(
        "the files of the variables",
        "variables.data-00000-of-00001 variables.index",
        " ".join(savedmodel.variable_files(directory)),
    )


if __name__ == "__main__":
    serialization.run(main)
