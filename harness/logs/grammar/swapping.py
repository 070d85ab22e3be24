"""Lines of what swaps: TFLMS (branches tflmsv1 and tflmsv2), our own providers, and libraries.

The forms of the libraries are those of their sources: trl's `models/activation_offloading.py`,
torchtune's `training/_activation_offloading.py` and recipes, bitsandbytes' `optim/optimizer.py`,
TensorFlow's `gpu_device.cc` and `cuda_driver.cc`. None of them ever says how much it has moved.
"""

from __future__ import annotations

import re

from harness.base.text import bounded
from harness.logs.grammar.needles import Needle
from harness.logs.grammar.numbers import NUMBER, finite, gib
from harness.record.facts import Edit

NEEDLES: tuple[Needle, ...] = (
    rb"LMS(?:\]\[0\]| off\b| swap operations| is disabled)",
    b"not supported with TensorFlow Large Model Support",
    rb"(?i:bytes_?reclaimed|num_?(?:single|full)_?reclaims|lms_enabled)",
    rb"enable_activation_offloading|activation offloading, no output head|of virtual memory used",
    rb"Paged optimizers are not supported",
    rb"unified memory|TF_FORCE_UNIFIED_MEMORY|XLA_(?:PYTHON_)?CLIENT_MEM_FRACTION",
)
WRAPPED_LINES = 4
_ADDED = re.compile(
    rb"Added ([0-9]{1,15}) operations to the model \(([0-9]{1,15}) swap-out operations?"
    rb"(?: \(" + NUMBER + rb" GiB\))? and ([0-9]{1,15}) swap-in operations?"
    rb"(?: \(" + NUMBER + rb" GiB\))?"
)
_ADDED_V1 = re.compile(rb"Added ([0-9]{1,15}) ops into the model")
_SWAPPED_V1 = re.compile(rb"([0-9]{1,15}) tensors will be swapped out\(in\) to\(from\) the host")
_TOOK = re.compile(rb"Editing model for LMS, took: " + NUMBER + rb" ms")
_OFF = re.compile(rb"LMS is not necessary|Turned LMS off|LMS is disabled and will not modify")
_ALREADY = re.compile(rb"already been updated with LMS swap operations")
_REFUSED = re.compile(rb"not supported with TensorFlow Large Model Support")
_INVALID = re.compile(rb"\[LMS\]\[0\]\s+Edited model is invalid")
# `providers.announcement.moving` writes both.
_MOVED = re.compile(
    rb"\[LMS\]\[0\] Swapping ([0-9]{1,15}) tensors out(?: \(" + NUMBER + rb" GiB\))?"
    rb" and ([0-9]{1,15}) tensors in(?: \(" + NUMBER + rb" GiB\))? in a step"
)
_RECOMPUTED = re.compile(rb"\[LMS\]\[0\] Computing ([0-9]{1,15}) layers again in a step")
_LIBRARY_OFF = re.compile(
    rb"Paged optimizers are not supported on CPU\. Falling back to non-paged optimizer"
    rb"|enable_activation_offloading isn't|Unable to read TF_FORCE_UNIFIED_MEMORY"
)
_ABOVE_1 = rb"(?:1\.\d{0,8}[1-9]|[2-9](?:\.|\b)|[1-9]\d{1,3}(?:\.|\b))"
_SETTING = rb"['\"]?\]?\s{0,4}[:=]\s{0,4}['\"]?"
_LIBRARIES: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    (
        "the activation offloading of trl or torchtune",
        re.compile(
            rb"During activation offloading, no output head was detected"
            rb"|curr_pct=[\d.]{1,10}% > self\.virtual_memory_safe_pct="
            rb"|\benable_activation_offloading" + _SETTING + rb"[Tt]rue"
        ),
    ),
    (
        "CUDA's managed memory",
        re.compile(
            rb"\bTF_FORCE_UNIFIED_MEMORY"
            + _SETTING
            + rb"(?:1\b|[Tt]rue)|\bXLA_(?:PYTHON_)?CLIENT_MEM_FRACTION"
            + _SETTING
            + _ABOVE_1
            + rb"|failed to alloc \d{1,20} bytes unified memory"
        ),
    ),
)


def edit(line: bytes, number: int) -> Edit | None:
    """TFLMS v2's report that it edited the graph; sizes are as rounded as the line shows them."""
    match = _ADDED.search(line)
    if match is None:
        return None
    return Edit(
        source="native",
        operations=int(match[1]),
        swap_out=int(match[2]),
        swap_in=int(match[4]),
        bytes_out=gib(match[3]),
        bytes_in=gib(match[5]),
        line=number,
        text=bounded(line),
    )


def edit_v1(line: bytes) -> tuple[int | None, int | None]:
    """TFLMS v1's two lines: (operations added, tensors swapped out and in), None: not in it."""
    added, swapped = _ADDED_V1.search(line), _SWAPPED_V1.search(line)
    return (int(added[1]) if added else None, int(swapped[1]) if swapped else None)


def took(line: bytes) -> float | None:
    """Milliseconds that TFLMS needed for its edit."""
    match = _TOOK.search(line)
    return finite(match[1]) if match else None


def problem(line: bytes) -> str | None:
    """Kind of the problem in a line of TFLMS: it is off, or the graph was edited before."""
    if _OFF.search(line) or _REFUSED.search(line):
        return "lms_off"
    if _ALREADY.search(line):
        return "lms_already_edited"
    return None


def note(line: bytes) -> str | None:
    """What TFLMS v1 says of an edit that is not valid; the reader has to know it."""
    return bounded(line, 300) if _INVALID.search(line) else None


_OPEN = re.compile(rb"\[LMS\]\[0\] (?:Added \d|Editing model for LMS, t)")
_STATISTIC = re.compile(
    rb"(?i:\b(?:get_)?(?:peak_|current_)?(bytes_?reclaimed|num_?single_?reclaims|num_?full_?reclaims))"
    rb"(?:\([^)\n]{0,20}\))?['\"]?\s{0,4}[:=]\s{0,40}([0-9][0-9,]{0,20})"
)


def unfinished(line: bytes) -> bool:
    """Whether a line starts a report of an edit and does not end it: it is wrapped."""
    return bool(
        _OPEN.search(line)
        and not (_ADDED.search(line) or _ADDED_V1.search(line) or _TOOK.search(line))
    )


def statistics(line: bytes) -> dict[str, int]:
    """What the swapping allocator of TensorFlow 2.1 and 2.2 counts, by its name in the record."""
    found = {}
    for match in _STATISTIC.finditer(line):
        name = match[1].lower().replace(b"_", b"").decode("ascii")
        found[_STATISTICS[name]] = min(int(match[2].replace(b",", b"")), 2**63 - 1)
    return found


_STATISTICS = {
    "bytesreclaimed": "bytes_reclaimed",
    "numsinglereclaims": "single_reclaims",
    "numfullreclaims": "full_reclaims",
}


def step(line: bytes, number: int) -> Edit | None:
    """What a provider of ours says of each step; sizes are as rounded as the line shows them."""
    moved, again = _MOVED.search(line), _RECOMPUTED.search(line)
    if moved is None and again is None:
        return None
    out, back = (int(moved[1]), int(moved[3])) if moved else (0, 0)
    return Edit(
        source="native",
        operations=out + back,
        swap_out=out,
        swap_in=back,
        bytes_out=gib(moved[2]) if moved else None,
        bytes_in=gib(moved[4]) if moved else None,
        recomputed=int(again[1]) if again else None,
        line=number,
        text=bounded(line),
    )


def off(line: bytes) -> bool:
    """Whether a library says that what was asked of it is off."""
    return _LIBRARY_OFF.search(line) is not None


def library(line: bytes) -> str | None:
    """The library whose words these are: that it is there, and not that it has done anything."""
    return next((name for name, pattern in _LIBRARIES if pattern.search(line)), None)
