"""Marker lines: `:::LMS ` and one JSON object, validated into facts.

The fields are documented in docs/contract.md. A marker comes from a script that anybody may have
written, so every field is checked for its type, its sign and its size, and every text is made
safe to store: valid Unicode, no control characters, bounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.record.facts import Claim, Digest, Edit, Metric, Trace

PREFIX = b":::LMS"
TEXT_LIMIT = 1_000  # characters of any text that is kept
VALUES_LIMIT = 16_384  # numbers of one predictions digest that are kept
_NUMBER_LIMIT = (
    2**63 - 1
)  # sizes and counts beyond it are not real, and not every reader holds them
_ENTRIES_LIMIT = 200  # entries of an object or array in `environment`

_DIGESTED = ("weights", "optimizer", "predictions")
_STAGES = ("saved", "restored", "final")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)

# Terminal escape sequences (CSI, OSC, and the two-byte ones), then what else is no text.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class MalformedError(ValueError):
    """A marker that does not say what it must; the text says why."""


@dataclass(frozen=True)
class Note:
    """Something the reader of the report should know."""

    text: str


@dataclass(frozen=True)
class Environment:
    """What the phase ran in: `versions`, `devices`, `python`, `data`."""

    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """The script reached its end."""


@dataclass(frozen=True)
class Ready:
    """A phase that serves accepts connections."""

    port: int


Fact = Edit | Metric | Digest | Trace | Claim | Note | Environment | Ready | Done


def clean(raw: bytes | str, limit: int = TEXT_LIMIT) -> str:
    """Text that is safe to store and to show: no escape sequence, no control character.

    Args:
        raw: what was read; bytes that are no UTF-8 become U+FFFD.
        limit: characters kept. Longer text keeps its two ends, because a warning of TensorFlow
            names its operation at the start and says what happened at the end.
    """
    ends = 4 * limit
    cut = len(raw) > 2 * ends  # so that the cost does not grow with the length
    if isinstance(raw, bytes):
        text = (raw[:ends] + raw[-ends:] if cut else raw).decode("utf-8", "replace")
    else:
        text = raw[:ends] + raw[-ends:] if cut else raw
    text = _CONTROLS.sub("\ufffd", _ESCAPES.sub("", text.replace("\b", ""))).strip()
    if len(text) <= limit and not cut:
        return text
    half = limit // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def markers(line: bytes) -> Iterator[bytes]:
    """The text after each marker prefix on a line, up to the next one.

    Two markers share a line when two threads write at once or a newline got lost.
    """
    parts = line.split(PREFIX)
    yield from parts[1:]


def fact(text: bytes, line: int) -> tuple[Fact, str | None]:
    """Reads what follows the prefix: one JSON object; anything after the object is ignored.

    Args:
        text: the line after the prefix.
        line: the line's number, for the fact.

    Returns:
        the fact, and a description of a number in it that is not finite (a loss, predictions),
        else None.

    Raises:
        MalformedError: it is no JSON object, or a field is missing or wrong.
    """
    fields = _fields(text)
    event = fields.get("event")
    build = _BUILDERS.get(event) if isinstance(event, str) else None
    if build is None:
        raise MalformedError(f"event {clean(repr(event), 60)} is not known")
    found, problem = build(fields, line)
    if isinstance(found, Edit):
        found = found.model_copy(update={"text": clean(PREFIX + b" " + text.lstrip())})
    return found, problem


def ready_port(text: bytes) -> int | None:
    """The port of a marker `ready`; None for what is another marker, or none.

    Raises:
        MalformedError: it names no port.
    """
    try:
        fields = _fields(text)
    except MalformedError:
        return None
    return _ready(fields, 0)[0].port if fields.get("event") == "ready" else None


def _fields(text: bytes) -> dict[str, Any]:
    try:
        fields, _ = _DECODER.raw_decode(text.decode("utf-8").lstrip())
    except (ValueError, RecursionError) as reason:
        raise MalformedError(f"not a JSON object: {clean(str(reason), 200)}") from None
    if not isinstance(fields, dict):
        raise MalformedError("not a JSON object")
    return fields


_DECODER = json.JSONDecoder()


def _edit(fields: dict[str, Any], line: int) -> tuple[Fact, None]:
    swap_out, swap_in = _count(fields, "swap_out"), _count(fields, "swap_in")
    if swap_out is None or swap_in is None:
        raise MalformedError("lms_edited: swap_out and swap_in are needed")
    operations = _count(fields, "operations")
    provider = fields.get("provider")
    return Edit(
        source="marker",
        provider=clean(provider, 100) if isinstance(provider, str) else None,
        operations=operations if operations is not None else swap_out + swap_in,
        swap_out=swap_out,
        swap_in=swap_in,
        bytes_out=_count(fields, "bytes_out"),
        bytes_in=_count(fields, "bytes_in"),
        milliseconds=_duration(fields, "ms"),
        line=line,
        text="",
    ), None


def _metric(fields: dict[str, Any], line: int) -> tuple[Fact, str | None]:
    name = _text(fields, "name")
    if "value" not in fields:
        raise MalformedError("metric: value is missing")
    raw = fields["value"]
    if isinstance(raw, str) and _NOT_FINITE.fullmatch(raw):
        raw = math.nan
    if raw is not None and (isinstance(raw, bool) or not isinstance(raw, int | float)):
        raise MalformedError("metric: value is not a number")
    value = _finite(raw)
    split = fields.get("split")
    metric = Metric(
        name=name,
        value=value,
        epoch=_count(fields, "epoch"),
        split=clean(split, 100) if isinstance(split, str) else None,
        line=line,
    )
    if value is None and "loss" in name.lower():  # JSON has no NaN: many writers say null
        return metric, f"{name} is not a finite number"
    return metric, None


def _digest(fields: dict[str, Any], line: int) -> tuple[Fact, str | None]:
    of, stage, sha256 = fields.get("of"), fields.get("stage"), fields.get("sha256")
    if of not in _DIGESTED:
        raise MalformedError(f"digest: of is not one of {', '.join(_DIGESTED)}")
    if stage not in _STAGES:
        raise MalformedError(f"digest: stage is not one of {', '.join(_STAGES)}")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise MalformedError("digest: sha256 is not 64 hexadecimal digits")
    raw = fields.get("values")
    values: list[float] | None = None
    problem = None
    if raw is not None:
        if not isinstance(raw, list):
            raise MalformedError("digest: values is not an array")
        if any(isinstance(item, bool) or not isinstance(item, int | float | None) for item in raw):
            raise MalformedError("digest: values holds something that is not a number")
        numbers = [_finite(item) for item in raw]
        if any(number is None for number in numbers):
            problem = f"{stage} {of} hold a number that is not finite"
        elif len(numbers) <= VALUES_LIMIT:
            values = [number for number in numbers if number is not None]
    return Digest(
        of=of,
        stage=stage,
        sha256=sha256.lower(),
        tensors=_count(fields, "tensors"),
        bytes=_count(fields, "bytes"),
        values=values,
        line=line,
    ), problem


def _trace(fields: dict[str, Any], line: int) -> tuple[Fact, None]:
    function = fields.get("function")
    if function not in ("train", "predict"):
        raise MalformedError("trace: function is not train or predict")
    meter = fields.get("meter")
    return Trace(
        function=function,
        meter=clean(meter, 100) if isinstance(meter, str) else "allocations",
        swap_out=_count(fields, "swap_out"),
        swap_in=_count(fields, "swap_in"),
        bytes_out=_count(fields, "bytes_out"),
        bytes_in=_count(fields, "bytes_in"),
        peak_accelerator=_count(fields, "peak_accelerator"),
        peak_host=_count(fields, "peak_host"),
        lower_bound=_count(fields, "lower_bound"),
        step_ms=_duration(fields, "step_ms"),
        graph_swap_out=_count(fields, "graph_swap_out"),
        graph_swap_in=_count(fields, "graph_swap_in"),
        line=line,
    ), None


def _claim(fields: dict[str, Any], line: int) -> tuple[Fact, None]:
    values = []
    for name in ("expected", "found"):
        value = _bounded(fields.get(name))
        if isinstance(value, list | dict):
            raise MalformedError(f"claim: {name} is not a single value")
        values.append(value)
    if values[0] is None:
        raise MalformedError("claim: expected is missing")
    text = _text(fields, "text", TEXT_LIMIT)
    return Claim(text=text, expected=values[0], found=values[1], line=line), None


def _environment(fields: dict[str, Any], line: int) -> tuple[Fact, None]:
    known = ("versions", "devices", "python", "data")
    return Environment({name: _bounded(fields[name]) for name in known if name in fields}), None


def _note(fields: dict[str, Any], line: int) -> tuple[Fact, None]:
    return Note(_text(fields, "text", TEXT_LIMIT)), None


def _ready(fields: dict[str, Any], line: int) -> tuple[Ready, None]:
    port = fields.get("port")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 2**16:
        raise MalformedError("ready: port is not a number from 1 to 65535")
    return Ready(port), None


def _done(fields: dict[str, Any], line: int) -> tuple[Fact, None]:
    return Done(), None


_BUILDERS = {
    "lms_edited": _edit,
    "metric": _metric,
    "digest": _digest,
    "trace": _trace,
    "claim": _claim,
    "ready": _ready,
    "environment": _environment,
    "note": _note,
    "done": _done,
}


def _count(fields: dict[str, Any], name: str) -> int | None:
    """A size or a count: a whole number that is not negative, or null."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():  # some writers know no integers
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _NUMBER_LIMIT:
        raise MalformedError(f"{fields['event']}: {name} is not a whole number from 0 to 2^63-1")
    return value


def _duration(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError(f"{fields['event']}: {name} is not a number")
    number = _finite(value)
    if number is None or number < 0:
        raise MalformedError(f"{fields['event']}: {name} is not a finite number from 0")
    return number


def _text(fields: dict[str, Any], name: str, limit: int = 100) -> str:
    value = fields.get(name)
    text = clean(value, limit) if isinstance(value, str) else ""
    if not text:
        raise MalformedError(f"{fields['event']}: {name} is not a text")
    return text


def _finite(value: float | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _bounded(value: Any, depth: int = 2) -> Any:
    """A JSON value cut to what a report can hold: flat, short, finite."""
    if isinstance(value, str):
        return clean(value, 300)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        number = _finite(value)
        return value if number is not None and abs(number) <= _NUMBER_LIMIT else None
    if depth == 0:
        return None
    if isinstance(value, list):
        return [_bounded(item, depth - 1) for item in value[:_ENTRIES_LIMIT]]
    entries = list(value.items())[:_ENTRIES_LIMIT]
    return {clean(name, 100): _bounded(item, depth - 1) for name, item in entries}
