"""One step over time: bytes that were alive, and when tensors were swapped.

A meter makes it from the records that it makes the peak from. What is marked of it is bounded,
whatever a step did, and no peak is lost by that.
"""

import typing

Count = typing.Optional[int]

_POINTS = 256  # of one device
_MOVES = 256  # of one direction
_LARGEST = 10
_NAME = 100  # characters

MICROSECONDS, OPERATIONS = "microseconds", "operations"


class Points(typing.NamedTuple):
    """A quantity that keeps each value until the next point.

    at: times, ascending; several points may have one. bytes: as many, what is alive from then on.
    """

    at: typing.List[int]
    bytes: typing.List[int]

    @property
    def peak(self) -> int:
        """The greatest value."""
        return max(self.bytes)

    def reduced(self, most: int = _POINTS) -> "Points":
        """At most that many points, with the same peak.

        Of each of `most / 4` equal spans of time the first, the least, the greatest and the last
        value stay, in their order (Jugel et al. 2014, "M4: A Visualization-Oriented Time Series
        Data Aggregation").
        """
        if len(self.at) <= most:
            return self
        begin, end = self.at[0], self.at[-1]
        spans = max(1, most // 4)
        members: typing.Dict[int, typing.List[int]] = {}
        for place, at in enumerate(self.at):
            span = (at - begin) * spans // (end - begin) if end > begin else 0
            members.setdefault(min(span, spans - 1), []).append(place)
        kept: typing.List[int] = []
        for places in members.values():
            least = min(places, key=self.bytes.__getitem__)
            greatest = max(places, key=self.bytes.__getitem__)
            kept.extend(sorted({places[0], least, greatest, places[-1]}))
        kept.sort()
        return Points([self.at[place] for place in kept], [self.bytes[place] for place in kept])


class StepSeries(typing.NamedTuple):
    """What one step did over time.

    unit: what its times count, from where the step begins: `'microseconds'`, or `'operations'` of a
        compiled program, in its order.
    end: when the step ended.
    accelerator, host: bytes of the step that were alive there, those that it gave back; None where
        nothing was recorded.
    swap_out, swap_in: when tensors were swapped, ascending.
    largest: names and bytes of the tensors that were swapped out, where they are known.
    began: of the step, in seconds of the monotonic clock, if it is known.
    """

    unit: str
    end: Count
    accelerator: typing.Optional[Points]
    host: typing.Optional[Points]
    swap_out: typing.Sequence[int] = ()
    swap_in: typing.Sequence[int] = ()
    largest: typing.Sequence[typing.Tuple[str, int]] = ()
    began: typing.Optional[float] = None

    def fields(self) -> typing.Dict[str, typing.Any]:
        """What the marker `series` says of it: bounded."""
        largest = sorted(self.largest, key=lambda tensor: (-tensor[1], tensor[0]))[:_LARGEST]
        return {
            "unit": self.unit,
            "began": self.began,
            "end": self.end,
            "accelerator": _fields(self.accelerator),
            "host": _fields(self.host),
            "swap_out": thinned(sorted(self.swap_out)),
            "swap_in": thinned(sorted(self.swap_in)),
            "largest": [{"name": name[:_NAME], "bytes": size} for name, size in largest],
        }


def live(changes: typing.Iterable[typing.Tuple[int, int]], begin: int = 0, unit: int = 1) -> Points:
    """What is alive after each change, from nothing on.

    changes: times and bytes, in the order in which they happened; released bytes are negative.
    begin: time of the step's begin; unit: of their times in one of the points.
    """
    points = Points([0], [0])
    for at, size in changes:
        points.at.append(max(points.at[-1], (at - begin) // unit))
        points.bytes.append(points.bytes[-1] + size)
    return points


def thinned(times: typing.Sequence[int], most: int = _MOVES) -> typing.List[int]:
    """At most that many of the times, the first and the last among them."""
    if len(times) <= most:
        return list(times)
    return [times[place * (len(times) - 1) // (most - 1)] for place in range(most)]


def _fields(points: typing.Optional[Points]) -> typing.Optional[typing.Dict[str, typing.Any]]:
    return None if points is None else dict(points.reduced()._asdict())
