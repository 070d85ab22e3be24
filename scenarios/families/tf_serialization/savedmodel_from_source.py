"""Build the model from its source, restore the trained variables, save a SavedModel."""

from families.tf_serialization import classifier, savedmodel
from families.tf_serialization.serialization import CHECKPOINT, Serialization


def main(work: Serialization) -> None:
    tf = work.tf
    # A graph of its own: that of the training session has LMS's swap operations in it.
    classifier.build(tf)
    saver = tf.train.Saver()
    directory = work.output(savedmodel.DIRECTORY)
    with work.session(work.graph) as session:
        saver.restore(session, work.input(CHECKPOINT))
        savedmodel.save(tf, session, directory, work.find())
    savedmodel.claim_variable_files(directory, savedmodel.VARIABLE_FILES)


if __name__ == "__main__":
    Serialization.run(main)
