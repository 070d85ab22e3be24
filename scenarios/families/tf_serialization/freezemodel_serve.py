"""Import the frozen graph, LMS first, and answer requests over HTTP until the phase is stopped."""

import typing

from families.tf_serialization import serving
from families.tf_serialization.serialization import Serialization


def main(work: Serialization) -> None:
    work.tf.import_graph_def(work.frozen_graph(), name="prefix")
    work.edit()
    model = work.find(prefix="prefix/")
    with work.session(work.graph) as session:
        # All but the predictions, which the client digests as it gets them.
        work.digest_state(session, "restored", optimizer=False)
        work.runtime.steps.ran("predict", None)  # nobody knows how many requests there will be
        work.finish(session, "predict")

        def predict(rows: typing.Any) -> serving.Answer:
            return {"y": session.run(model.predictions, {model.inputs: rows}).tolist()}

        def score(rows: typing.Any) -> serving.Answer:
            return {"scores": session.run(model.scores, {model.inputs: rows}).tolist()}

        serving.serve({"/api/predict": predict, "/api/scores": score})


if __name__ == "__main__":
    Serialization.run(main)
