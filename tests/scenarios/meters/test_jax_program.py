"""The meter of jax on the text of a program."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from meters import jax_program
from meters.jax_program import Value
from meters.measurement import Points


def test_copies_of_a_gpu_are_read_from_the_text() -> None:
    text = """HloModule jit_train_step
ENTRY %main {
  %a = f32[4,2]{1,0} parameter(0)
  %copy-start.1 = (f32[4,2]{1,0:S(5)}, f32[4,2]{1,0}, u32[]) copy-start(%a)
  %copy-done.1 = f32[4,2]{1,0:S(5)} copy-done(%copy-start.1)
  %copy-start.2 = (f32[4,2]{1,0}, f32[4,2]{1,0:S(5)}, u32[]) copy-start(%copy-done.1)
  %copy.3 = pred[4,2]{1,0:S(5)} copy(%b)
  %copy.4 = f32[4,2]{0,1} copy(%a)
  ROOT %copy.5 = pred[4,2]{1,0} copy(%copy.3)
}
"""
    assert jax_program.copies(text) == (2, 2, 40, 40)
    assert set(jax_program.copies("")) == {None}


PROGRAM = """HloModule jit_train_step, is_scheduled=true

%fused {
  %within = f32[4]{0} parameter(0)
}

ENTRY %main {
  %x = f32[4]{0} parameter(0)
  %a = f32[4]{0} fusion(%x)
  %b = f32[4]{0} fusion(%a)
  %c = f32[4]{0} fusion(%b)
  ROOT %r = f32[4]{0} add(%c, %c)
}
"""


def test_operations_of_the_entry_have_a_place() -> None:
    assert jax_program.places(PROGRAM) == {"x": 0, "a": 1, "b": 2, "c": 3, "r": 4}


def test_a_programs_values_over_its_operations() -> None:
    values = [
        Value(0, 100, first=1, last=2),  # a, read by b
        Value(100, 150, first=2, last=3),  # b, read by c
        Value(20, 120, first=3, last=4),  # c, over where a was and b is
    ]
    # 150 are alive at most, and the program takes 170: 20 are results and gaps, at all times.
    points = jax_program.alive(values, 170)
    assert points == Points([0, 1, 2, 3, 4, 5], [20, 120, 170, 150, 120, 20])
    assert points.peak == 170
    assert jax_program.alive([], 170) is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"peak_bytes_in_use": 1_838, "peak_pool_bytes": 2_047, "num_allocs": 9}, (1_838, 2_047)),
        # XLA leaves out what an allocator has none of; the CPU's tells nothing at all.
        ({"peak_bytes_in_use": 1_838}, (1_838, None)),
        (None, (None, None)),
    ],
)
def test_what_the_allocator_of_a_gpu_says(told: Any, expected: tuple[Any, Any]) -> None:
    device = SimpleNamespace(memory_stats=lambda: told)
    assert jax_program.allocated(device) == expected
