"""Lines of Keras and of training loops: losses that are no number, metrics of the examples."""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle
from harness.logs.grammar.numbers import finite
from harness.record.facts import Metric

NAN_NEEDLES: tuple[Needle, ...] = (
    re.compile(rb"loss['\"]?(?:: ?| = )-?(?:[nN]a[nN]|inf)"),
    b"Invalid loss, terminating training",
)
METRIC_NEEDLES: tuple[Needle, ...] = (re.compile(rb"Test (?:loss|accuracy):"),)


NAN = re.compile(
    rb"loss['\"]?(?:: ?| = )-?(?:nan|inf)\b|Invalid loss, terminating training",
    re.IGNORECASE,
)
_METRIC = re.compile(rb"\s*Test (loss|accuracy):\s*([-+\w.]{1,40})\s*$")


def metric(line: bytes, number: int) -> Metric | None:
    """What the Keras examples print after `evaluate`: `Test loss: 0.05`."""
    match = _METRIC.match(line)
    if match is None:
        return None
    value = finite(match[2])
    if value is None and match[2].lower() not in (b"nan", b"inf", b"-inf"):
        return None
    return Metric(name=match[1].decode("ascii"), value=value, split="test", line=number)
