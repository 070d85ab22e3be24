"""Tensors of two digests, one by one: which differ, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.base.text import phrase, plural
from harness.record.facts import Digest, Tensor

_NAMED = 3  # tensors that a message names beside the first


@dataclass(frozen=True)
class Difference:
    """A tensor that is not the same in two digests.

    Attributes:
        name: of the tensor.
        shape: numbers along each dimension.
        size: about the Euclidean norm of the difference, in the tensor's own unit; None where it
            cannot be told. In numbers that are estimated from eight projections of each it is
            right to a third.
        what: what there is to say beside it, such as "is missing", or "".
        place: of the tensor it should be, among those of its digest; names may be there twice.
    """

    name: str
    shape: tuple[int, ...]
    size: float | None = None
    what: str = ""
    place: int = 0

    @property
    def words(self) -> str:
        """The tensor and its difference, e.g. `dense/kernel (8 x 3) by about 0.0012`."""
        shape = f" ({' x '.join(map(str, self.shape))})" if self.shape else ""
        name = phrase(self.name)
        if self.what:
            return f"{name}{shape} {self.what}"
        if self.size is None:
            return f"{name}{shape} by an amount that is not known"
        return f"{name}{shape} by about {self.size:.3g}"


def differences(ours: Digest, theirs: Digest) -> list[Difference] | None:
    """The tensors that differ, in their order; None where a digest does not tell each.

    Tensors are paired by name where both digests have the same names, or not as many; else by
    position, since a framework may name the same tensor otherwise in another process.

    Args:
        ours: what is looked at. theirs: what it should be.
    """
    if ours.each is None or theirs.each is None:
        return None
    found: list[Difference] = []
    for place, (mine, other) in enumerate(_pairs(ours.each, theirs.each)):
        difference = _difference(mine, other)
        if difference is not None:
            found.append(replace(difference, place=place))
    return found


def distance(ours: Digest, theirs: Digest) -> float | None:
    """About the Euclidean norm of the difference of all tensors; None where it is not known."""
    found = differences(ours, theirs)
    if found is None or any(entry.size is None for entry in found):
        return None
    whole = math.hypot(*(entry.size for entry in found if entry.size is not None))
    return whole if math.isfinite(whole) else None


def words(ours: Digest, theirs: Digest) -> str:
    """Which tensors differ, the first with its difference; "" where that is not told."""
    found = differences(ours, theirs)
    return described(found, max(len(ours.each or ()), len(theirs.each or ()))) if found else ""


def described(found: Sequence[Difference], of: int) -> str:
    """Differences in words: how many, the first, and what else is of the same kind.

    Args:
        of: how many tensors there are in all.
    """
    first, *others = found
    text = f"{len(found)} of {plural(of, 'tensor')}, first {first.words}"
    if others:
        named = ", ".join(phrase(entry.name) for entry in others[:_NAMED])
        rest = len(others) - _NAMED
        text += f", then {named}" + (f" and {rest} more" if rest > 0 else "")
    known = [entry for entry in found if entry.size is not None]
    largest = max(known, key=lambda entry: entry.size or 0.0, default=first)
    if largest is not first and others:
        text += f", most {largest.words}"
    return text


def _pairs(
    ours: Sequence[Tensor], theirs: Sequence[Tensor]
) -> list[tuple[Tensor | None, Tensor | None]]:
    mine = {entry.name: entry for entry in ours}
    other = {entry.name: entry for entry in theirs}
    unique = len(mine) == len(ours) and len(other) == len(theirs)
    if len(ours) == len(theirs) and not (unique and mine.keys() == other.keys()):
        return list(zip(ours, theirs, strict=True))
    if not unique or not mine.keys() & other.keys():
        # Nothing tells which is which: the first of one is the first of the other.
        longest = max(len(ours), len(theirs))
        padded = ([*side, *[None] * (longest - len(side))] for side in (ours, theirs))
        return list(zip(*padded, strict=True))
    added = [(entry, None) for entry in ours if entry.name not in other]
    return [*((mine.get(entry.name), entry) for entry in theirs), *added]


def _difference(ours: Tensor | None, theirs: Tensor | None) -> Difference | None:
    """How two tensors of a pair differ; None where they are equal."""
    if theirs is None:
        assert ours is not None  # a pair has one of them
        return Difference(ours.name, tuple(ours.shape), what="is too many")
    if ours is None:
        return Difference(theirs.name, tuple(theirs.shape), what="is missing")
    if ours.sha256 == theirs.sha256:
        return None
    shape = tuple(theirs.shape)
    if ours.shape != theirs.shape:
        return Difference(theirs.name, shape, what=f"has the shape {tuple(ours.shape)}")
    return Difference(theirs.name, shape, _norm(ours, theirs))


def _norm(ours: Tensor, theirs: Tensor) -> float | None:
    """Root of the mean square of the projections' differences: about the norm of the tensors'."""
    a, b = ours.projections, theirs.projections
    if a is None or b is None or len(a) != len(b) or not a:
        return None
    apart = [
        one - another
        for one, another in zip(a, b, strict=True)
        if one is not None and another is not None
    ]
    norm = math.hypot(*apart) / math.sqrt(len(a))
    return norm if len(apart) == len(a) and math.isfinite(norm) else None
