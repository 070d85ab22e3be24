"""What a reduction of a series must keep, be it that of the harness or that of the meters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

Told = tuple[list[int], list[int]]
Reduce = Callable[[list[int], list[int], int], tuple[Sequence[float], Sequence[float]]]

MOST = st.integers(4, 60)


@st.composite
def series(draw: st.DrawFn) -> Told:
    """Times that never fall and a value of each."""
    t = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=900).map(sorted))
    return t, draw(st.lists(st.integers(0, 2**40), min_size=len(t), max_size=len(t)))


def loses_no_peak(reduce: Reduce, told: Told, most: int) -> None:
    """Of the whole and of each span of time; and what stays is of the series, in its order."""
    t, value = told
    at, kept = reduce(t, value, most)
    assert len(at) == len(kept) <= most
    assert (max(kept), min(kept)) == (max(value), min(value))
    assert list(at) == sorted(at)
    assert (at[0], at[-1], kept[0], kept[-1]) == (t[0], t[-1], value[0], value[-1])
    assert set(zip(at, kept, strict=True)) <= set(zip(t, value, strict=True))
    spans, length = most // 4, t[-1] - t[0]
    if length:
        # On an edge it may be rounded either way.
        edges = [t[0] + length * span / spans for span in range(1, spans)]
        if not set(edges) & set(t):
            assert _peaks(at, kept, edges) == _peaks(t, value, edges)


def _peaks(
    times: Sequence[float], sizes: Sequence[float], edges: Sequence[float]
) -> dict[int, float]:
    found: dict[int, float] = {}
    for when, size in zip(times, sizes, strict=True):
        span = bisect_right(edges, when)
        found[span] = max(found.get(span, -1), size)
    return found
