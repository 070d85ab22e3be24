"""Steps of a model: one of Keras, run and timed, and how many a phase has run in all.

Keras' step is by the function that it trains or predicts with anyway: one of other shapes or types
than those before would be one trace more.
"""

import time
import typing

Count = typing.Optional[int]


class Steps:
    """Steps of the functions that LMS edits, `'train'` and `'predict'`, since the phase began.

    A step is one batch, whoever runs it: the training, a digest, or a meter. Steps of a function
    that LMS does not edit, as that of a loaded SavedModel as it is, are none of them.
    """

    def __init__(self) -> None:
        self._run: typing.Dict[str, Count] = {}

    def ran(self, function: str, count: Count = 1) -> None:
        """Adds steps that were run; None where their number is not known: it stays so."""
        before = self.of(function)
        self._run[function] = None if before is None or count is None else before + count

    def of(self, function: str) -> Count:
        """Steps that were run so far, or None where that is not known."""
        return self._run.get(function, 0)

    def counted(
        self, function: str, run: typing.Callable[..., typing.Any], steps: int = 1
    ) -> typing.Callable[..., typing.Any]:
        """What does the same as `run`, each call of which is that many steps."""

        def counting(*arguments: typing.Any, **named: typing.Any) -> typing.Any:
            result = run(*arguments, **named)
            self.ran(function, steps)
            return result

        return counting


def batches(examples: int, batch_size: int) -> int:
    """Steps that take all examples once; the last batch may be smaller."""
    return -(-examples // batch_size)


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
