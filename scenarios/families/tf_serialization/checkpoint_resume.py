"""Import the meta graph, LMS first, restore the checkpoint's variables and go on training."""

from families.tf_serialization.serialization import (
    CHECKPOINT,
    EPOCHS,
    RESUMED_EPOCHS,
    Serialization,
)


def main(work: Serialization) -> None:
    saver = work.import_model()
    work.edit(training=True)
    with work.session(work.graph) as session:
        work.restore(session, saver, work.input(CHECKPOINT))
        work.digest(session, "restored", optimizer=True)
        work.train(session, epochs=RESUMED_EPOCHS, done=EPOCHS)
        work.finish(session, "train")


if __name__ == "__main__":
    Serialization.run(main)
