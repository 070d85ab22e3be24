"""Lines of TFLMS, branches tflmsv1 and tflmsv2."""

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
