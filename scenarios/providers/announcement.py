"""What a provider did: TFLMS's own log lines, and the marker `lms_edited`."""

import sys
import typing

from common import marker
from providers.parameters import Parameters

_GIB = 1024.0**3
_PREFIX = "[LMS][0]"

Count = typing.Optional[int]


class Swaps(typing.NamedTuple):
    """Swap operations that were added to a graph, or moves in each step.

    swap_out, swap_in: how many. bytes_out, bytes_in: what one step moves; None if not known.
    operations: added to the graph in all; milliseconds: what that took. Both None without a graph.
    recomputed: what is computed again in each step and moved by nobody, such as layers.
    """

    swap_out: int
    swap_in: int
    bytes_out: Count
    bytes_in: Count
    operations: Count = None
    milliseconds: typing.Optional[float] = None
    recomputed: int = 0

    def times(self, factor: float) -> "Swaps":
        """As many times as much."""

        def scaled(count: Count) -> Count:
            return None if count is None else round(count * factor)

        return self._replace(
            swap_out=round(self.swap_out * factor),
            swap_in=round(self.swap_in * factor),
            bytes_out=scaled(self.bytes_out),
            bytes_in=scaled(self.bytes_in),
            operations=scaled(self.operations),
            recomputed=round(self.recomputed * factor),
        )


def mark(provider: str, swaps: Swaps, parameters: Parameters) -> None:
    """Marks what was done. parameters: those that it was done with."""
    marker.emit(
        "lms_edited",
        provider=provider,
        operations=swaps.operations,
        swap_out=swaps.swap_out,
        swap_in=swaps.swap_in,
        bytes_out=swaps.bytes_out,
        bytes_in=swaps.bytes_in,
        ms=swaps.milliseconds,
        parameters=parameters._asdict(),
        **({"recomputed": swaps.recomputed} if swaps.recomputed else {}),
    )


def edited(logger: typing.Any, provider: str, swaps: Swaps, parameters: Parameters) -> None:
    """Says what an edit of a graph added, and marks it. logger: has `info`."""
    log(logger, summary(swaps))
    log(logger, f"Editing model for LMS, took: {swaps.milliseconds} ms")
    mark(provider, swaps, parameters)


def moving(provider: str, swaps: Swaps, parameters: Parameters) -> None:
    """Says what is done in each step, where no graph is edited, and marks it."""
    text = (
        f"Swapping {swaps.swap_out} tensors out{_gib(swaps.bytes_out)}"
        f" and {swaps.swap_in} tensors in{_gib(swaps.bytes_in)} in a step"
    )
    if swaps.recomputed:
        text = f"Computing {swaps.recomputed} layers again in a step"
    sys.stderr.write(f"INFO {_PREFIX} {text}\n")
    sys.stderr.flush()
    mark(provider, swaps, parameters)


def log(logger: typing.Any, text: str) -> None:
    """Writes a line in the form in which TFLMS writes its own."""
    logger.info(f"{_PREFIX} %s", text)


def summary(swaps: Swaps) -> str:
    """TFLMS's line on what was added. Sizes that are not known are left out."""
    return (
        f"Added {swaps.operations} operations to the model"
        f" ({swaps.swap_out} swap-out operations{_gib(swaps.bytes_out)}"
        f" and {swaps.swap_in} swap-in operations{_gib(swaps.bytes_in)})"
    )


def _gib(size: Count) -> str:
    return "" if size is None else f" ({size / _GIB:.4f} GiB)"
