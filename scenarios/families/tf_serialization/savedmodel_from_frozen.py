"""Import the frozen graph, save a SavedModel: it has no variables."""

from families.tf_serialization import savedmodel
from families.tf_serialization.serialization import FROZEN, Serialization
from workload.graph_model import read_graph


def main(work: Serialization) -> None:
    work.tf.import_graph_def(read_graph(work.tf, work.input(FROZEN)), name="")
    directory = work.output(savedmodel.DIRECTORY)
    with work.session(work.graph) as session:
        savedmodel.save(work.tf, session, directory, work.find())
    savedmodel.claim_variable_files(directory, "")


if __name__ == "__main__":
    Serialization.run(main)
