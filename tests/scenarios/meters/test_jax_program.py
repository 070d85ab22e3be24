"""The meter of jax on the text of a program."""

from __future__ import annotations

from meters import jax_program


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
