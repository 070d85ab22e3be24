"""Build the model from its source, restore the trained variables, save a SavedModel."""

from common import claim
from families.tf_serialization import classifier, savedmodel, serialization


def main(work):
    tf = work.tf
    # A graph of its own: that of the training session has LMS's swap operations in it.
    classifier.build(tf)
    saver = tf.train.Saver()
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
