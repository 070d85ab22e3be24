"""The meter of jax on the text of a program."""

from __future__ import annotations

from meters import jax_program
from meters.jax_program import Event
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
ENTRY %main {
  %x = f32[4]{0} parameter(0)
  %a = f32[4]{0} fusion(%x)
  %b = f32[4]{0} fusion(%a)
  %c = f32[4]{0} fusion(%b)
  ROOT %r = f32[4]{0} add(%c, %c)
}
"""
ALLOCATE, FREE, SHARE = 0, 1, 2


def test_a_programs_values_over_its_operations() -> None:
    order = jax_program.places(PROGRAM)
    assert order == {"x": 0, "a": 1, "b": 2, "c": 3, "r": 4}
    sizes = {1: 100, 2: 50, 3: 100}
    events = [
        Event(ALLOCATE, 1, "a", 0),
        Event(ALLOCATE, 2, "b", 0),
        Event(SHARE, 3, "c", 1),  # in the memory of the first
        Event(FREE, 1, "a", 0),
        Event(FREE, 2, "b", 0),
        Event(FREE, 3, "c", 0),
    ]
    # 150 are alive at most, and the program takes 170: 20 are results and gaps, at all times.
    points = jax_program.alive(sizes, events, order, 170)
    assert points == Points([0, 1, 2, 3, 3], [20, 120, 170, 120, 20])
    assert jax_program.alive(sizes, [], order, 170) is None


def test_an_operation_within_another_is_where_that_is() -> None:
    events = [
        Event(ALLOCATE, 1, "a", 0),
        Event(ALLOCATE, 2, "within", 0),
        Event(FREE, 2, "within", 0),
        Event(ALLOCATE, 3, "c", 0),
    ]
    points = jax_program.alive({1: 10, 2: 20, 3: 5}, events, jax_program.places(PROGRAM), 0)
    assert points == Points([0, 1, 1, 1, 3], [0, 10, 30, 10, 15])
