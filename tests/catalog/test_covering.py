"""Covering arrays: every value and every pair that is wanted, nothing that is excluded."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import covertable
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalog import covering
from tests.paths import ROOT

AXES = ("model", "optimizer", "format", "mode")


@st.composite
def families(draw):
    axes = {
        axis: tuple(f"{axis[0]}{number}" for number in range(draw(st.integers(1, 5))))
        for axis in AXES[: draw(st.integers(2, 4))]
    }
    names = list(axes)
    part = st.lists(st.sampled_from(names), min_size=2, unique=True)
    pairs = draw(st.lists(part, max_size=3))
    excluded = []
    for _ in range(draw(st.integers(0, 6))):
        chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        excluded.append(
            {
                axis: tuple(draw(st.lists(st.sampled_from(axes[axis]), min_size=1, unique=True)))
                for axis in chosen
            }
        )
    apart = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    return axes, pairs, excluded, apart


def is_excluded(row, excluded):
    return any(all(row[axis] in names for axis, names in entry.items()) for entry in excluded)


def held(rows, pairs):
    """The values, and the pairs of values that are wanted, in some of the rows."""
    singles = {(axis, name) for row in rows for axis, name in row.items()}
    return singles | {
        (one, row[one], other, row[other])
        for row in rows
        for part in pairs
        for one, other in combinations(sorted(part), 2)
    }


@settings(max_examples=300, deadline=None)
@given(families())
def test_all_values_and_wanted_pairs_are_held_and_nothing_is_excluded(family):
    axes, pairs, excluded, apart = family
    rows = covering.rows(axes, pairs, excluded, apart)
    every = [dict(zip(axes, names, strict=True)) for names in product(*axes.values())]
    allowed = [row for row in every if not is_excluded(row, excluded)]
    assert all(row in allowed for row in rows)
    assert held(rows, pairs) == held(allowed, pairs)
    assert rows == covering.rows(axes, pairs, excluded, apart)


def test_few_combinations_of_the_axes_that_cost():
    axes = {
        "model": tuple(f"m{number}" for number in range(12)),
        "optimizer": tuple(f"o{number}" for number in range(8)),
        "format": tuple(f"f{number}" for number in range(8)),
    }
    pairs = [["model", "format"], ["optimizer", "format"]]
    excluded = [
        {"model": ("m0",), "format": ("f0", "f1")},
        {"optimizer": ("o0",), "format": ("f2",)},
    ]
    rows = covering.rows(axes, pairs, excluded, ["model", "optimizer"])
    assert len(rows) <= 12 * 8 + 2
    assert len({(row["model"], row["optimizer"]) for row in rows}) <= 14


def test_an_exclusion_is_named():
    number = covering.excluding([{"a": ("x",)}, {"a": ("y",), "b": ("z",)}])
    assert number({"a": "x", "b": "z"}) == 0
    assert number({"a": "y", "b": "z"}) == 1
    assert number({"a": "y", "b": "y"}) is None


PROGRAM = """
import json, sys
from harness.catalog import covering
print(json.dumps(covering.rows(*json.loads(sys.argv[1]))))
"""
PYTHONS = [
    path
    for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    if int(path.parts[-3].split(".")[1]) >= 10
]


@pytest.mark.parametrize("python", [sys.executable, *map(str, PYTHONS)])
@pytest.mark.parametrize("seed", ["0", "7"])
def test_the_choice_is_the_same_on_every_python(python: str, seed: str):
    axes = {axis: [f"{axis}{number}" for number in range(6)] for axis in AXES}
    family = (
        axes,
        [["model", "format"], ["optimizer", "format", "mode"]],
        [{"model": ["model0"], "format": ["format0", "format1"]}, {"optimizer": ["optimizer2"]}],
        ["model", "optimizer"],
    )
    libraries = Path(covertable.__file__).parent.parent
    done = subprocess.run(
        [python, "-s", "-B", "-c", PROGRAM, json.dumps(family)],
        env={"PYTHONPATH": f"{ROOT}:{libraries}", "PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == covering.rows(*family)
