"""What is left of a GPU for managed memory, on a driver that a small class plays."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from frameworks import gpu_memory
from frameworks.resources import UnavailableError

GIB = 2**30


class Driver:
    """libcuda with one GPU of 8 GiB, of which 6 are free."""

    def __init__(self, **failing: int) -> None:
        self.failing, self.taken = failing, 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            if name == "cuMemGetInfo_v2":
                arguments[0]._obj.value, arguments[1]._obj.value = 6 * GIB, 8 * GIB
            if name == "cuMemAlloc_v2" and name not in self.failing:
                self.taken += arguments[1].value
            return self.failing.get(name, 0)

        return call


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_memory, "_held", [])


def play(monkeypatch: pytest.MonkeyPatch, **failing: int) -> Driver:
    driver = Driver(**failing)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    return driver


def test_all_but_the_ceiling_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = play(monkeypatch)
    gpu_memory.leave(GIB)
    gpu_memory.leave(GIB)  # each session of a phase asks for it
    assert driver.taken == 5 * GIB


def test_nothing_is_taken_where_less_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = play(monkeypatch)
    gpu_memory.leave(7 * GIB)
    assert driver.taken == 0


@pytest.mark.parametrize("name", ["cuInit", "cuDevicePrimaryCtxRetain", "cuMemAlloc_v2"])
def test_a_driver_that_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    play(monkeypatch, **{name: 2})
    with pytest.raises(UnavailableError, match=r"CUDA error 2: no MEMORY_CEILING of 1073741824"):
        gpu_memory.leave(GIB)


def test_no_driver_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(UnavailableError, match=r"there is no libcuda\.so\.1"):
        gpu_memory.leave(GIB)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_the_environment_says_whether_memory_is_managed(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    monkeypatch.setenv("TF_FORCE_UNIFIED_MEMORY", value)
    assert gpu_memory.managed() is expected
