"""Import the meta graph, LMS first, restore the checkpoint's variables and predict."""

import typing

from common import marker
from families.tf_serialization.serialization import CHECKPOINT, Serialization


def main(work: Serialization) -> None:
    saver = work.import_model()
    work.edit()
    with work.session(work.graph) as session:
        marker.claim("variables with a value before the restore", 0, with_value(work, session))
        work.restore(session, saver, work.input(CHECKPOINT))
        marker.claim("variables without a value after the restore", 0, work.uninitialized(session))
        work.digest(session, "restored")
        work.finish(session, "predict")


def with_value(work: Serialization, session: typing.Any) -> int:
    return len(work.tf.global_variables()) - work.uninitialized(session)


if __name__ == "__main__":
    Serialization.run(main)
