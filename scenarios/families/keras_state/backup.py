"""Train with LMS and BackupAndRestore; start again where another phase was interrupted.

BACKUP_FREQUENCY: `epoch`, or after how many batches a backup is made. BACKUP_INTERRUPTED: the
epoch, counted from 0, before which training is interrupted; without it training ends. BACKUP_DONE:
how many epochs are done where it goes on.
"""

import os
import shutil
import typing

from common import marker
from families.keras_state.variant import Variant

_DIRECTORY = "backup"


class TrainingInterruptError(Exception):
    """Training was interrupted."""


def main(variant: Variant) -> None:
    directory = variant.output(_DIRECTORY)  # it is deleted when training is over
    resumed = variant.phase.input_directory is not None
    if resumed:
        shutil.copytree(variant.input(_DIRECTORY), directory)
    frequency = os.environ["BACKUP_FREQUENCY"]
    backup = variant.keras.callbacks.BackupAndRestore(
        directory, save_freq=int(frequency) if frequency.isdigit() else frequency
    )
    model = variant.compiled()
    until = int(os.environ.get("BACKUP_INTERRUPTED") or variant.epochs)
    watching = watch(variant, until)
    try:
        variant.train(model, variant.lms(), until=variant.epochs, more=[backup, watching])
    except TrainingInterruptError:
        print("training interrupted")
        variant.mark(model, "saved")
    else:
        variant.mark(model, "final")
    if resumed:
        # Those before the epoch in which the last backup was made.
        expected = int(os.environ["BACKUP_DONE"])
        marker.claim("epochs done before training resumes", expected, watching.began)


def watch(variant: Variant, interrupted: int) -> typing.Any:
    """A callback that knows with which epoch training begins, and interrupts it with another.

    interrupted: that epoch, counted from 0; there is none where it is the number of all.
    """

    class Watch(variant.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        began: typing.Optional[int] = None

        def on_epoch_begin(self, epoch: int, logs: typing.Any = None) -> None:
            if self.began is None:
                self.began = epoch
            if epoch == interrupted:
                raise TrainingInterruptError()

    return Watch()


if __name__ == "__main__":
    Variant.run(main)
