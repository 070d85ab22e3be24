"""Import the frozen graph, save a SavedModel: it has no variables."""

from common import claim
from families.tf_serialization import classifier, savedmodel, serialization


def main(work):
    graph_def = work.read_graph(work.input(serialization.FROZEN))
    work.tf.import_graph_def(graph_def, name="")
    directory = work.output(savedmodel.DIRECTORY)
    with work.session() as session:
        savedmodel.save(work.tf, session, directory, classifier.find(work.graph))
    files = savedmodel.variable_files(directory)
    claim.state("the files of the variables", "", " ".join(files))


if __name__ == "__main__":
    serialization.run(main)
