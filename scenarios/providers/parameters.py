"""The swapping parameters of Large Model Support.

`parameters.json` has the bounds of each: the driver reads it too, and refuses others beforehand.
"""

import json
import os
import typing

with open(os.path.splitext(os.path.abspath(__file__))[0] + ".json") as _file:
    _BOUNDS = json.load(_file)  # type: typing.Dict[str, typing.Dict[str, int]]


class _Fields(typing.NamedTuple):
    swapout_threshold: int
    swapin_groupby: int
    swapin_ahead: int
    sync_mode: int


class Parameters(_Fields):
    """How much is swapped, and when. The defaults are maximum swapping.

    The names and meanings are those of TFLMS 2.

    swapout_threshold: a tensor is swapped for the consumers that are more than this many levels
        of the topological order away from its producer; at least 1.
    swapin_groupby: consumers of one tensor whose levels are at most this far apart share a
        swap-in; 0 gives every consumer its own.
    swapin_ahead: in an asynchronous mode, how many levels before its consumer a swap-in may
        start; at least 1. Without effect where `sync_mode` is 2 or 3.
    sync_mode: 0 asynchronous; 1 the producer's other successors wait for the swap-out; 2 the
        swap-in waits until its consumer is otherwise ready; 3 both.
    """

    __slots__ = ()

    def __new__(
        cls,
        swapout_threshold: int = 1,
        swapin_groupby: int = 0,
        swapin_ahead: int = 1,
        sync_mode: int = 3,
    ) -> "Parameters":
        """Raises ValueError, with one line that says what is wrong."""
        values = (swapout_threshold, swapin_groupby, swapin_ahead, sync_mode)
        for name, value in zip(cls._fields, values):
            _check(name, value)
        return super().__new__(cls, *values)

    @classmethod
    def from_json(cls, text: str) -> "Parameters":
        """Parameters from a JSON object; a key that is left out has its default.

        Raises ValueError, with one line that says what is wrong.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValueError(f"LMS parameters are not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"LMS parameters must be a JSON object, not {values!r}")
        unknown = sorted(set(values) - set(cls._fields))
        if unknown:
            raise ValueError(
                f"unknown LMS parameter {unknown[0]!r}; known are {', '.join(cls._fields)}"
            )
        return cls(**values)

    @property
    def synchronous_swapout(self) -> bool:
        """Whether the producer's other successors wait for a swap-out."""
        return self.sync_mode in (1, 3)

    @property
    def synchronous_swapin(self) -> bool:
        """Whether a swap-in waits until its consumer is otherwise ready."""
        return self.sync_mode in (2, 3)


def _check(name: str, value: typing.Any) -> None:
    # bool is a subclass of int, and true is no number of levels.
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"LMS parameter {name} must be an integer, not {value!r}")
    bounds = _BOUNDS[name]
    if value < bounds["least"]:
        raise ValueError(f"LMS parameter {name} must be at least {bounds['least']}, not {value}")
    if value > bounds["greatest"]:
        raise ValueError(f"LMS parameter {name} must be at most {bounds['greatest']}, not {value}")
