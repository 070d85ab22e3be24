"""Load the pretrained SavedModel, LMS before its variables, and run its signature."""

from common import digest, steps
from families.tf_serialization import pretrained
from families.tf_serialization.serialization import Serialization
from meters import trace


def main(work: Serialization) -> None:
    loader = pretrained.loader(work.phase)
    loader.load_graph(work.graph)
    work.edit()
    model = pretrained.Model(work.tf, work.graph, loader.signature)
    with work.session(work.graph) as session:
        loader.restore(session)
        output = model.digest(session, "restored")
        run = work.runtime.steps.counted("predict", lambda: session.run(model.output, model.feed))
        work.runtime.steps.ran("predict")
        digest.predictions(output.astype("float32"), "final")
        trace.session(
            work.runtime,
            "predict",
            lambda **options: session.run(model.output, model.feed, **options),
            steps.timed(run),
            batch=len(output),
        )


if __name__ == "__main__":
    Serialization.run(main)
