"""One step of a Keras model, by the function that it trains or predicts with anyway.

A step of other shapes or types than those before would be one trace more.
"""

import time
import typing


def timed(run: typing.Callable[[], typing.Any]) -> float:
    """Runs, and gives the wall time in milliseconds."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1000.0


def train(
    model: typing.Any, x: typing.Any, y: typing.Any, callbacks: typing.Iterable[typing.Any] = ()
) -> None:
    """One training step of a Keras model on a batch, of the same shapes and types as `fit` has.

    `train_on_batch` would have another: it knows the size of its batch.
    """
    # Keras 3 leaves the epoch on the model at which BackupAndRestore resumed.
    done = getattr(model, "_initial_epoch", None) or 0
    model.fit(
        x,
        y,
        batch_size=len(x),
        epochs=done + 1,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks) or None,
    )


def predict(model: typing.Any, x: typing.Any) -> typing.Any:
    """The prediction of a batch, numpy, by a function that takes batches of any size.

    Keras knows the size of the batches where they come out even, and it would be in the trace.
    """
    return model.predict(x, batch_size=len(x) + 1, verbose=0)
