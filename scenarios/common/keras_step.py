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
    keras: typing.Any,
    model: typing.Any,
    x: typing.Any,
    y: typing.Any,
    callbacks: typing.Iterable[typing.Any] = (),
    measuring: typing.Optional[typing.ContextManager[typing.Any]] = None,
) -> None:
    """Two training steps of a Keras model on a batch, of the same shapes and types as `fit` has.

    `train_on_batch` would have another: it knows the size of its batch. What is to be measured is
    the second, like most steps of a training: what swaps could do so in the first one alone.

    measuring: context in which the second step runs.
    """
    import numpy as np

    # Keras 3 leaves the epoch on the model at which BackupAndRestore resumed.
    done = getattr(model, "_initial_epoch", None) or 0
    model.fit(
        np.concatenate([x, x]),
        np.concatenate([y, y]),
        batch_size=len(x),
        epochs=done + 1,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, _second_step(keras, measuring)] if measuring else list(callbacks),
    )


def _second_step(keras: typing.Any, context: typing.ContextManager[typing.Any]) -> typing.Any:
    """A callback that enters a context for the second step of a training."""

    class SecondStep(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: typing.Any = None) -> None:
            if batch == 1:
                context.__enter__()

        def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
            if batch == 1:
                context.__exit__(None, None, None)

    return SecondStep()


def predict(model: typing.Any, x: typing.Any) -> typing.Any:
    """The prediction of a batch, numpy, by a function that takes batches of any size.

    Keras knows the size of the batches where they come out even, and it would be in the trace.
    """
    return model.predict(x, batch_size=len(x) + 1, verbose=0)
