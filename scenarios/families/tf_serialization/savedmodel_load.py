"""Load the SavedModel, LMS before its variables, and predict by its signature."""

from common import claim
from families.tf_serialization import classifier, savedmodel, serialization


def main(work):
    loader = savedmodel.Loader(work.input(savedmodel.DIRECTORY))
    loader.load_graph(work.graph)
    work.edit()
    signature = loader.signature
    claim.state("the signature's input", classifier.INPUTS, signature.inputs["inputs_1"].name)
    claim.state("the signature's output", classifier.PREDICTIONS, signature.outputs["output1"].name)
    claim.state("meta graphs in the SavedModel", 1, loader.meta_graphs)
    model = classifier.find(work.graph)
    with work.session() as session:
        loader.restore(session)
        work.digest(session, model, "restored")
        work.finish(session, model, "predict")


if __name__ == "__main__":
    serialization.run(main)
