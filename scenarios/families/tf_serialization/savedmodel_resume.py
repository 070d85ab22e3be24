"""Load the SavedModel, LMS before its variables, and go on training: it has all of the model."""

from families.tf_serialization import savedmodel
from families.tf_serialization.serialization import EPOCHS, RESUMED_EPOCHS, Serialization


def main(work: Serialization) -> None:
    loader = savedmodel.Loader(work.input(savedmodel.DIRECTORY))
    loader.load_graph(work.graph)
    work.edit(training=True)
    with work.session(work.graph) as session:
        loader.restore(session)
        work.digest(session, "restored", optimizer=True)
        work.train(session, epochs=RESUMED_EPOCHS, done=EPOCHS)
        work.finish(session, "train")


if __name__ == "__main__":
    Serialization.run(main)
