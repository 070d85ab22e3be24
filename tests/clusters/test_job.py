"""What a job may hold: nothing that a generated file would show as something else."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from harness.base.error import UsageError
from harness.clusters.job import Part
from tests.clusters.jobs import HOSTILE, job


@pytest.mark.parametrize(
    "changes",
    [
        {"options": ("--data=a\nb",)},
        {"options": ("--data=\x1b[2J",)},
        {"options": ("--data=a\u202eb",)},
        {"options": ("--data=a\u2028b",)},
        {"parts": (Part(1, ("--data=\x85",)),)},
        {"reports": PurePosixPath("/a\nMERGE\n")},
        {"image": "a\r"},
        {"claim": "a\0"},
    ],
)
def test_what_does_not_print_is_refused(changes):
    with pytest.raises(
        UsageError, match=r"holds the character U\+[0-9A-F]{4}, which does not print"
    ):
        job(**changes)


def test_what_prints_is_taken_as_it_is():
    assert job(options=HOSTILE).options == HOSTILE


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a-", "a_b", "a" * 31, "$(x)"])
def test_a_name_is_one_that_kubernetes_takes(name):
    with pytest.raises(UsageError, match="is no name of a run"):
        job(name=name)


def test_a_name_has_room_for_what_kubernetes_adds():
    with pytest.raises(UsageError, match="longer than 50"):
        job(name="a" * 30, parts=(Part(1, (), "f" * 20),))
    assert (
        job(name="a" * 30, parts=(Part(1, (), "f_" + "f" * 17),)).name_of(Part(1, (), "f_f"))
        == "a" * 30 + "-f-f"
    )


def test_an_image_is_of_its_flavor():
    assert job(image="r/{flavor}:{x}").image_of(Part(1, (), "tf1-keras22")) == "r/tf1-keras22:{x}"
