"""What counts as a problem, and every program's needles in one place.

What counts as a problem, exactly:

- A traceback counts where its header stands at the start of a line, unless the line before says
  that the exception was caught: "Exception ignored in", "--- Logging error ---", or a line that a
  Python logger wrote at WARNING or below. One logged at ERROR counts. A chain of exceptions
  ("During handling of the above exception ...") is one problem, named by the last of them.
- What Python's loggers or warnings report at WARNING or below was caught: it never counts as out
  of memory or as a CUDA error, nor does the exception of a traceback that does not count, nor an
  indented line, which continues or quotes something. Lines of TensorFlow's C++ runtime count at
  any level, because a failed operation is logged there as a warning.
- Out of memory: an exception whose type says so, a failed operation ("OOM when allocating
  tensor"), the kernel's or the shell's report of a kill. An allocator that tries, fails, and goes
  on with less is no problem ("ran out of memory trying to allocate", "failed to allocate ... from
  device: CUDA_ERROR_OUT_OF_MEMORY"): if it cannot go on, one of the former lines follows.
- CUDA errors: the names CUDA_ERROR_* and *_STATUS_*, except for success, and the sentences of
  TensorFlow and torch for a library that does not start. A log of a machine without a GPU may
  hold "failed call to cuInit"; whether that matters is for the caller, who knows whether a GPU
  was asked for (`no_gpu`).
- A loss that is NaN or infinite counts in any line, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.logs.grammar import cuda, keras, kernel, python, tensorflow, tflms
from harness.logs.grammar.needles import Needle, around
from harness.record.facts import Problem

# Lines that always are looked at; a script's markers have a needle of their own.
NEEDLES: tuple[Needle, ...] = (tensorflow.MUTATED, python.TRACEBACK, *tflms.NEEDLES)
METRIC_NEEDLES = keras.METRIC_NEEDLES
# Once enough problems of a kind are kept, its words are only counted.
COUNTED: tuple[tuple[str, tuple[Needle, ...]], ...] = (
    ("nan_loss", keras.NAN_NEEDLES),
    (
        "out_of_memory",
        (
            *tensorflow.MEMORY_NEEDLES,
            *python.MEMORY_NEEDLES,
            *cuda.MEMORY_NEEDLES,
            *kernel.MEMORY_NEEDLES,
        ),
    ),
    ("cuda_error", cuda.ERROR_NEEDLES),
)
_MEMORY = (tensorflow.MEMORY, python.MEMORY, cuda.MEMORY, kernel.MEMORY)
_BACK_OFF = (tensorflow.BACK_OFF, cuda.BACK_OFF)


def problems(line: bytes, number: int) -> Iterator[Problem]:
    """What went wrong, as far as one line can say it; for tracebacks see `logs.tracebacks`."""
    if match := keras.NAN.search(line):
        yield Problem(kind="nan_loss", line=number, text=around(match))
    if python.logged(line) or line.startswith((b"  ", b"\t")):
        return
    found = next((match for pattern in _MEMORY if (match := pattern.search(line))), None)
    if found and not any(pattern.search(line) for pattern in _BACK_OFF):
        yield Problem(kind="out_of_memory", line=number, text=around(found))
    if match := cuda.ERROR.search(line):
        yield Problem(kind="cuda_error", line=number, text=around(match))
