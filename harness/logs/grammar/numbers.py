"""Numbers as programs print them."""

from __future__ import annotations

GIB = 2**30
NUMBER = rb"([0-9][0-9.]{0,30}(?:[eE][+-]?[0-9]{1,3})?)"


def finite(text: bytes) -> float | None:
    """The number, None for what is none or is not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def gib(text: bytes | None) -> int | None:
    """Bytes of a number of GiB."""
    value = finite(text) if text is not None else None
    return round(value * GIB) if value is not None and value < 2**33 else None
