"""Train with LMS for as long as the two phases of a scenario, without a break."""

from families.tf_serialization import classifier
from families.tf_serialization.serialization import EPOCHS, RESUMED_EPOCHS, Serialization


def main(work: Serialization) -> None:
    classifier.build(work.tf)
    work.edit(training=True)
    with work.session(work.graph) as session:
        work.initialise(session)
        work.train(session, epochs=EPOCHS + RESUMED_EPOCHS)
        work.finish_straight(session)


if __name__ == "__main__":
    Serialization.run(main)
