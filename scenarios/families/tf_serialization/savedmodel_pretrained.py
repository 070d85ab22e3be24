"""Load the pretrained SavedModel, LMS before its variables, and run its signature."""

import time

from common import digest, step
from families.tf_serialization import pretrained, savedmodel, serialization


def main(work):
    loader = savedmodel.Loader(work.input(pretrained.DIRECTORY))
    loader.load_graph(work.graph)
    work.edit()
    model = pretrained.Model(work.tf, work.graph, loader.signature)
    with work.session() as session:
        loader.restore(session)
        output = model.digest(session, "restored")
        digest.predictions(output.astype("float32"), "final")
        started = time.perf_counter()
        session.run(model.output, model.feed)
        step.trace_session(
            work.runtime,
            "predict",
            lambda **options: session.run(model.output, model.feed, **options),
            (time.perf_counter() - started) * 1000.0,
        )


if __name__ == "__main__":
    serialization.run(main)
