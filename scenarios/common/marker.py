"""Marker lines: facts that a phase states for the harness.

One line is `:::LMS ` and a JSON object; the events and their fields are in docs/contract.md.
"""

import json
import math
import sys
import time
import typing

PREFIX = ":::LMS "


def emit(event: str, **fields: typing.Any) -> None:
    """Writes one marker line to standard output and flushes it.

    fields: JSON values; numpy scalars are taken as numbers. A number that is not finite is
        written as null, because JSON has no NaN. The field `t` is the time of the monotonic clock
        in seconds.

    The flush keeps the order of markers and native log lines where both go to one stream, and
    keeps what was said if the process dies later.
    """
    line = format_line(event, t=round(time.monotonic(), 6), **fields)
    # A progress line of Keras may be unfinished, and a marker has its own line.
    sys.stdout.flush()
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Marks something that the reader of the report should know."""
    emit("note", text=text)


def claim(text: str, expected: typing.Any, found: typing.Any) -> None:
    """Marks a claim about an artifact that no digest can show; the harness compares the two.

    text: the claim in words, the same in every run. expected, found: JSON scalars.
    """
    print(f"{text}: {found!r}, expected {expected!r}")
    emit("claim", text=text, expected=expected, found=found)


def format_line(event: str, **fields: typing.Any) -> str:
    """The marker line without its line end. Raises TypeError for what is no JSON value."""
    content = {"event": event}
    content.update(fields)
    return PREFIX + json.dumps(_plain(content), allow_nan=False)


def _plain(value: typing.Any) -> typing.Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "item"):  # a numpy scalar
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise TypeError(f"no JSON value: {value!r}")
