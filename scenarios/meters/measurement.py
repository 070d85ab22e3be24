"""What one step of a model did, whatever meter saw it: counts, bytes, peaks, and it over time.

A meter makes the series from the records that it makes the peaks from. What is marked of one is
bounded, whatever a step did, and no peak is lost by that.
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


class Copies(typing.NamedTuple):
    """Copies between the accelerator's memory and the host's; None where nothing was recorded.

    out, back: how many to the host and back. out_bytes, back_bytes: what they moved.
    """

    out: Count = None
    back: Count = None
    out_bytes: Count = None
    back_bytes: Count = None


class Compiled(typing.NamedTuple):
    """What a step would take on an accelerator that it was compiled for, and has not run on.

    target: which accelerator, in words.
    peak_bytes: of it, beyond the arguments of the step. host_peak_bytes: of the host.
    copies: in the program.
    """

    target: str
    peak_bytes: int
    host_peak_bytes: int
    copies: Copies

    def fields(self) -> typing.Dict[str, typing.Any]:
        """What the marker `trace` says of it."""
        return {
            "compiled_for": self.target,
            "compiled_peak": self.peak_bytes,
            "compiled_host_peak": self.host_peak_bytes,
            "compiled_swap_out": self.copies.out,
            "compiled_swap_in": self.copies.back,
            "compiled_bytes_out": self.copies.out_bytes,
            "compiled_bytes_in": self.copies.back_bytes,
        }


class Measurement(typing.NamedTuple):
    """What one step did with memory. A value is None where the framework recorded nothing.

    accelerator_peak_bytes, host_peak_bytes: greatest number of bytes of the step that were alive
        there at one time. Neither memory from before the step, such as variables, is in it, nor
        what the step retained.
    accelerator_retained_bytes: allocated by the step and not released when it ended: values that
        were fetched, and buffers that took the place of a variable's former one.
    accelerator_resident_bytes: what was there before the step, such as variables; None where the
        meter does not look for it.
    accelerator_bound_bytes: size of all inputs and outputs of the operation for which that is
        greatest, with its kernel's workspace where the framework records it: a lower bound of the
        peak of any schedule.
    swap_out_executed, swap_in_executed: swap operations, or copies, that were executed.
    swap_out_bytes, swap_in_bytes: what they moved.
    graph_swap_out, graph_swap_in: swap operations in the graph, or moves in the compiled program,
        of the function that was executed.
    wall_ms: from the start of the first operation to the end of the last.
    series: the same over time; the greatest values of it are the peaks.
    allocator_peak_bytes, allocator_pool_bytes: of all that the process has asked its allocator for
        so far, and of what that has taken of the accelerator for it, the greatest.
    compiled: of the same step for an accelerator that is not there.
    """

    accelerator_peak_bytes: Count
    host_peak_bytes: Count
    accelerator_bound_bytes: Count
    swap_out_executed: Count
    swap_in_executed: Count
    swap_out_bytes: Count
    swap_in_bytes: Count
    accelerator_retained_bytes: Count = None
    accelerator_resident_bytes: Count = None
    graph_swap_out: Count = None
    graph_swap_in: Count = None
    wall_ms: typing.Optional[float] = None
    series: typing.Optional[StepSeries] = None
    allocator_peak_bytes: Count = None
    allocator_pool_bytes: Count = None
    compiled: typing.Optional[Compiled] = None

    def began(self, seconds: float) -> "Measurement":
        """The same of a step that began at a time of the monotonic clock."""
        if self.series is None:
            return self
        return self._replace(series=self.series._replace(began=seconds))


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
