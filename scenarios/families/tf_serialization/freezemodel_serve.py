"""Import the frozen graph, LMS first, and answer requests over HTTP until the phase is stopped."""

from families.tf_serialization import classifier, serialization, serving


def main(work):
    graph_def = work.read_graph(work.input(serialization.FROZEN))
    work.tf.import_graph_def(graph_def, name="prefix")
    work.edit()
    model = classifier.find(work.graph, prefix="prefix/")
    with work.session() as session:
        # All evidence but the predictions, which the client digests as it gets them.
        work.digest_weights(session, model, "restored")
        work.finish(session, model, "predict")

        def predict(rows):
            return {"y": session.run(model.predictions, {model.inputs: rows}).tolist()}

        def score(rows):
            return {"scores": session.run(model.scores, {model.inputs: rows}).tolist()}

        serving.serve({"/api/predict": predict, "/api/scores": score})


if __name__ == "__main__":
    serialization.run(main)
