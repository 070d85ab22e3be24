"""Load the SavedModel, LMS before its variables, and predict by its signature."""

from common import marker
from families.tf_serialization import classifier, savedmodel
from families.tf_serialization.serialization import Serialization


def main(work: Serialization) -> None:
    loader = savedmodel.Loader(work.input(savedmodel.DIRECTORY))
    loader.load_graph(work.graph)
    work.edit()
    inputs, outputs = loader.signature.inputs, loader.signature.outputs
    marker.claim("the signature's input", classifier.INPUTS, inputs[savedmodel.INPUT].name)
    marker.claim("the signature's output", classifier.PREDICTIONS, outputs[savedmodel.OUTPUT].name)
    marker.claim("meta graphs in the SavedModel", 1, loader.meta_graphs)
    with work.session(work.graph) as session:
        loader.restore(session)
        work.digest(session, "restored")
        work.finish(session, "predict")


if __name__ == "__main__":
    Serialization.run(main)
