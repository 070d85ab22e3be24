"""Import the meta graph, restore the variables, save a SavedModel: no model code takes part."""

from families.tf_serialization import savedmodel
from families.tf_serialization.serialization import CHECKPOINT, META_GRAPH, Serialization


def main(work: Serialization) -> None:
    saver = work.tf.train.import_meta_graph(work.input(META_GRAPH))
    directory = work.output(savedmodel.DIRECTORY)
    with work.session(work.graph) as session:
        saver.restore(session, work.input(CHECKPOINT))
        savedmodel.save(work.tf, session, directory, work.find())
    savedmodel.claim_variable_files(directory, savedmodel.VARIABLE_FILES)


if __name__ == "__main__":
    Serialization.run(main)
