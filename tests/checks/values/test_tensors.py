"""Tensors of two digests: which differ, how they are paired, and by how much."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from harness.checks.values import tensors
from harness.record.facts import Digest


def sha(text: object) -> str:
    return hashlib.sha256(repr(text).encode()).hexdigest()


def tensor(name: str, value: float | None, shape: Sequence[int] = (2, 3)) -> dict[str, Any]:
    """A tensor whose projections are all the same number; None: it holds no numbers."""
    projections = None if value is None else [value] * 8
    return {"name": name, "shape": shape, "sha256": sha(value), "projections": projections}


def digest(*each: dict[str, Any]) -> Digest:
    return Digest(of="weights", stage="final", sha256=sha(each), line=1, each=list(each))


def test_the_first_that_differs_is_told_with_its_shape_and_by_how_much():
    ours = digest(tensor("a", 1.0), tensor("b", 2.5), tensor("c", 9.0, (4,)))
    theirs = digest(tensor("a", 1.0), tensor("b", 2.0), tensor("c", 1.0, (4,)))
    assert tensors.words(ours, theirs) == (
        "2 of 3 tensors, first b (2 x 3) by about 0.5, then c, most c (4) by about 8"
    )
    assert tensors.distance(ours, theirs) == pytest.approx(math.hypot(0.5, 8.0))


def test_what_else_is_of_the_same_kind_is_named_but_not_without_end():
    ours = digest(*(tensor(f"t{number}", 1.0) for number in range(9)))
    theirs = digest(*(tensor(f"t{number}", 2.0) for number in range(9)))
    assert tensors.words(ours, theirs) == (
        "9 of 9 tensors, first t0 (2 x 3) by about 1, then t1, t2, t3 and 5 more"
    )


def test_equal_digests_differ_in_nothing():
    same = digest(tensor("a", 1.0))
    assert tensors.differences(same, same) == []
    assert tensors.words(same, same) == ""
    assert tensors.distance(same, same) == 0.0


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        # of other names, as another process may give them: by position
        ([("x", 1.0), ("y", 3.0)], [("a", 1.0), ("b", 2.0)], "1 of 2 tensors, first b"),
        # the same names in another order: by name
        ([("b", 2.0), ("a", 1.5)], [("a", 1.0), ("b", 2.0)], "1 of 2 tensors, first a"),
        ([("a", 1.0)], [("a", 1.0), ("b", 2.0)], "1 of 2 tensors, first b (2 x 3) is missing"),
        ([("a", 1.0), ("b", 2.0)], [("a", 1.0)], "1 of 2 tensors, first b (2 x 3) is too many"),
        ([("z", 1.0)], [("a", 1.0), ("b", 2.0)], "1 of 2 tensors, first b (2 x 3) is missing"),
        # names that are there twice tell nothing
        ([("a", 1.0), ("a", 3.0)], [("a", 1.0), ("a", 2.0)], "1 of 2 tensors, first a (2 x 3) by"),
    ],
)
def test_tensors_are_paired_by_name_or_else_by_position(ours, theirs, words):
    mine, other = (digest(*(tensor(*entry) for entry in side)) for side in (ours, theirs))
    assert tensors.words(mine, other).startswith(words)


def test_another_shape_is_told_as_such():
    found = tensors.words(digest(tensor("a", 1.0, (2,))), digest(tensor("a", 2.0, (3,))))
    assert found == "1 of 1 tensor, first a (3) has the shape (2,)"


@pytest.mark.parametrize("value", [None, 1e308])
def test_a_difference_that_is_no_number_is_not_known(value):
    ours, theirs = digest(tensor("a", value)), digest(tensor("a", -1e308))
    assert tensors.words(ours, theirs).endswith("by an amount that is not known")
    assert tensors.distance(ours, theirs) is None


def test_a_digest_that_does_not_tell_each_says_nothing():
    silent = Digest(of="weights", stage="final", sha256=sha(1), line=1)
    assert tensors.differences(silent, digest(tensor("a", 1.0))) is None
    assert tensors.words(silent, digest(tensor("a", 1.0))) == ""


def test_the_estimate_is_right_to_a_third():
    """Of random differences, by projections as scripts make them: under random signs."""
    drawn = random.Random(1)
    for _ in range(50):
        apart = [drawn.gauss(0, 1) for _ in range(500)]
        sums = [sum(value * drawn.choice((-1, 1)) for value in apart) for _ in range(8)]
        one = {**tensor("a", 0.0), "projections": sums, "sha256": sha("one")}
        size = tensors.distance(digest(one), digest(tensor("a", 0.0)))
        assert size is not None
        assert 0.4 < size / math.hypot(*apart) < 1.8
