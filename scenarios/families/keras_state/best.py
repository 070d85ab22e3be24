"""Train again with ModelCheckpoint, which keeps the best epoch in the file that is there already.

Without INPUT_DIR it is the training's first part. The score is best in the first epoch.
"""

import shutil
import typing

from common import marker
from families.keras_state.variant import Variant

_MONITOR = "score"
_BEST = 0.0  # of the first epoch


def main(variant: Variant) -> None:
    name = "best.keras" if variant.phase.keras3 else "best.h5"
    path = variant.output(name)
    lms = variant.lms()
    model = variant.compiled()
    first = variant.phase.input_directory is None
    # The callback keeps its best score in no file: a training that is started again has to tell it.
    keeper = variant.keras.callbacks.ModelCheckpoint(
        path,
        monitor=_MONITOR,
        mode="max",
        save_best_only=True,
        initial_value_threshold=None if first else _BEST,
    )
    more = [score(variant), keeper]
    if first:
        variant.train(model, lms, until=variant.saved_after, more=more)
        variant.mark(model, "saved")
        return
    shutil.copyfile(variant.input(name), path)
    lms.set_model(model)
    model.load_weights(path)
    before = _content(path)
    variant.train(model, lms, begin=variant.saved_after, until=variant.epochs, more=more)
    variant.mark(model, "final")
    kept = _content(path) == before
    marker.claim("the file of the best epoch is kept where a later one is worse", True, kept)


def score(variant: Variant) -> typing.Any:
    """A callback that gives each epoch a score lower than that of the one before."""

    class Score(variant.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_end(self, epoch: int, logs: typing.Any = None) -> None:
            logs[_MONITOR] = _BEST - float(epoch)

    return Score()


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    Variant.run(main)
