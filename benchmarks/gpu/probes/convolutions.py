"""A stack of equal convolutions, the program that both frameworks swap in a probe."""

from __future__ import annotations

from typing import NamedTuple


class Stack(NamedTuple):
    """Convolutions of 3 by 3, each followed by a rectifier; pixels of an image are side by side."""

    layers: int
    channels: int
    side: int
    batch: int

    def __str__(self) -> str:
        return f"{self.layers} convolutions of {self.channels}"


# Outputs of 98 MiB; then of the same size, with much more to compute for each byte.
NARROW = Stack(layers=8, channels=32, side=56, batch=256)
WIDE = Stack(layers=8, channels=512, side=28, batch=64)
# What a processor computes in a second.
SMALL = Stack(layers=6, channels=8, side=32, batch=32)


def stacks(on_gpu: bool) -> tuple[Stack, ...]:
    """Those to try."""
    return (NARROW, WIDE) if on_gpu else (SMALL,)
