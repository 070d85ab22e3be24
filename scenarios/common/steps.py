"""How many steps a phase has run: what its traces are a part of."""

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
