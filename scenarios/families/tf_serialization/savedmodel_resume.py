"""Load the SavedModel, LMS before its variables, and go on training: it has all of the model."""

from families.tf_serialization import classifier, savedmodel, serialization


def main(work):
    loader = savedmodel.Loader(work.input(savedmodel.DIRECTORY))
    loader.load_graph(work.graph)
    work.edit(training=True)
    model = classifier.find(work.graph)
    with work.session() as session:
        loader.restore(session)
        work.digest(session, model, "restored", optimizer=True)
        work.train(session, epochs=2)
        work.finish(session, model, "train")


if __name__ == "__main__":
    serialization.run(main)
