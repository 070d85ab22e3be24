"""The swapping parameters of Large Model Support."""

import json
import typing

_LEAST = {"swapout_threshold": 1, "swapin_groupby": 0, "swapin_ahead": 1, "sync_mode": 0}
_GREATEST = {"sync_mode": 3}


class Parameters(
    typing.NamedTuple(
        "Parameters",
        [
            ("swapout_threshold", int),
            ("swapin_groupby", int),
            ("swapin_ahead", int),
            ("sync_mode", int),
        ],
    )
):
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

    def __new__(cls, swapout_threshold=1, swapin_groupby=0, swapin_ahead=1, sync_mode=3):
        """Raises ValueError, with one line that says what is wrong."""
        values = (swapout_threshold, swapin_groupby, swapin_ahead, sync_mode)
        for name, value in zip(cls._fields, values):
            _check(name, value)
        return super(Parameters, cls).__new__(cls, *values)

    @classmethod
    def from_json(cls, text):
        """Parameters from a JSON object; a key that is left out has its default.

        Raises ValueError, with one line that says what is wrong.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValueError("LMS parameters are not JSON: {}".format(error)) from None
        if not isinstance(values, dict):
            raise ValueError("LMS parameters must be a JSON object, not {!r}".format(values))
        unknown = sorted(set(values) - set(cls._fields))
        if unknown:
            raise ValueError(
                "unknown LMS parameter {!r}; known are {}".format(
                    unknown[0], ", ".join(cls._fields)
                )
            )
        return cls(**values)

    @property
    def synchronous_swapout(self):
        """Whether the producer's other successors wait for a swap-out."""
        return self.sync_mode in (1, 3)

    @property
    def synchronous_swapin(self):
        """Whether a swap-in waits until its consumer is otherwise ready."""
        return self.sync_mode in (2, 3)


def _check(name, value):
    # bool is a subclass of int, and true is no number of levels.
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("LMS parameter {} must be an integer, not {!r}".format(name, value))
    if value < _LEAST[name]:
        raise ValueError(
            "LMS parameter {} must be at least {}, not {}".format(name, _LEAST[name], value)
        )
    if name in _GREATEST and value > _GREATEST[name]:
        raise ValueError(
            "LMS parameter {} must be at most {}, not {}".format(name, _GREATEST[name], value)
        )
