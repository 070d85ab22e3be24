"""Memory that Python and numpy allocate, by Python's own allocation tracer."""

import tracemalloc
import typing


class Traced:
    """Traces allocations for as long as it is entered.

    peak_bytes: after it, the greatest number of bytes that were allocated in it at one time.
    """

    peak_bytes = 0

    def __enter__(self) -> "Traced":
        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start(1)
        tracemalloc.reset_peak()
        self._before, _ = tracemalloc.get_traced_memory()
        return self

    def __exit__(self, *raised: typing.Any) -> None:
        _, peak = tracemalloc.get_traced_memory()
        self.peak_bytes = peak - self._before
        if self._started:
            tracemalloc.stop()


def numpy_bytes() -> int:
    """Bytes that numpy has allocated since the trace began."""
    import numpy as np

    only = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([only]).traces)
