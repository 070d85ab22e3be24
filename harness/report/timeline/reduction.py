"""Fewer points of a series, with every peak of it still there. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 400  # points of one series


def reduced(
    t: Sequence[float], value: Sequence[float], most: int = MOST
) -> tuple[list[float], list[float]]:
    """At most that many points of a series whose values hold until the next point.

    Of each of `most / 4` equal spans of time the first, the least, the greatest and the last value
    stay, in their order: what is drawn on as many columns is the same (Jugel et al. 2014, "M4: A
    Visualization-Oriented Time Series Data Aggregation").

    Args:
        t: ascending; several points may have one time.
        value: as many.
        most: at least 4.
    """
    if len(t) <= most:
        return list(t), list(value)
    spans, length = most // 4, t[-1] - t[0]
    members: dict[int, list[int]] = {}
    for place, at in enumerate(t):
        span = int((at - t[0]) / length * spans) if length > 0 else 0
        members.setdefault(min(span, spans - 1), []).append(place)
    kept = sorted(
        {
            place
            for places in members.values()
            for place in (
                places[0],
                min(places, key=value.__getitem__),
                max(places, key=value.__getitem__),
                places[-1],
            )
        }
    )
    return [t[place] for place in kept], [value[place] for place in kept]
