"""Text from logs made fit for reports: whatever a phase printed, a report stays readable.

A log is hostile input. Terminal sequences are dropped, progress bars shrink to their last state,
and characters that XML 1.0 forbids (https://www.w3.org/TR/xml/#charsets) are shown as `#x1B`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import AnyStr

MIB = 2**20

# Control sequences of ECMA-48: CSI, then OSC and its kin up to BEL or ST, then two-byte escapes.
# The counts are bounded so that an unterminated sequence cannot swallow the rest of a log.
_SEQUENCES = (
    r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\)"
    r"|\x1b[ -/]{1,4}[0-~]"
    r"|\x1b[=>78cDEHMNOZ\\]"
)
_TERMINAL = re.compile(rf"{_SEQUENCES}|\x9b[0-?]{{0,64}}[ -/]{{0,8}}[@-~]")
_TERMINAL_BYTES = re.compile(_SEQUENCES.encode("ascii"))
# Forbidden in XML 1.0, and the control characters that it only discourages.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_SUSPECT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ERASED = re.compile("\x08+(?=\r|\n|$)|(?<=\r)\x08+")  # Keras rubs its progress bar out
_LINE_END = re.compile("\r+\n")
_ATTACHMENT = re.compile(r"\[(?=\[ATTACHMENT)", re.IGNORECASE)
_BLANK = re.compile(r"\s+")


def without_terminal(raw: AnyStr) -> AnyStr:
    """Returns what was read without a terminal's control sequences; lines stay lines."""
    if isinstance(raw, bytes):
        return _TERMINAL_BYTES.sub(b"", raw) if b"\x1b" in raw else raw
    return _TERMINAL.sub("", raw)


def bounded(raw: bytes | str, limit: int = 1000) -> str:
    """Returns what was read as text that is safe to store: no control character, bounded.

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
    if not text.isprintable():
        text = _CONTROL.sub("\ufffd", without_terminal(text.replace("\b", "")))
    text = text.strip()
    if len(text) <= limit and not cut:
        return text
    half = limit // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def clean(text: str) -> str:
    """Returns the text as it may stand in any report; lines stay lines."""
    if _SUSPECT.search(text) is None:
        return text
    text = without_terminal(text)
    if "\r" in text or "\x08" in text:
        text = _ERASED.sub("", text)
        text = _LINE_END.sub("\n", text)
        text = "\n".join(_last_state(line) for line in text.split("\n"))
    return _ILLEGAL.sub(lambda match: f"#x{ord(match.group()):02X}", text)


def one_line(text: str, limit: int = 1000) -> str:
    """Returns the text cleaned, on one line, never empty, and at most `limit` characters long."""
    if not text.isprintable():  # else there is nothing to clean
        text = clean(text)
        if not text.isprintable():
            text = _BLANK.sub(" ", text)
    return clip(text.strip(), limit) or "(no message)"


def clip(text: str, limit: int) -> str:
    """Returns the text, cut to `limit` characters with a mark where it was cut."""
    return text if len(text) <= limit else text[: max(limit - 2, 0)].rstrip() + " …"


def distinct(lines: Iterable[str]) -> list[str]:
    """Returns the lines `<phase>:<number>: <text>` without those whose text was there before."""
    found: dict[str, str] = {}
    for line in lines:
        found.setdefault(line.split(": ", 1)[-1], line)
    return list(found.values())


def defuse(text: str) -> str:
    """Breaks up attachment markers: a log could otherwise make Jenkins fetch any file it reads."""
    return _ATTACHMENT.sub("[ ", text) if "[[" in text else text


def flat(value: object) -> str:
    """Returns a value of the record as one line: text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e15
        return str(int(value)) if whole else f"{value:.6g}"
    return json.dumps(value, default=str, sort_keys=True)


def numbers(values: Mapping[str, object]) -> str:
    """Returns a check's numbers as `name=value, name=value`; unknown ones as `unknown`."""
    return ", ".join(
        f"{one_line(name)}={'unknown' if value is None else one_line(flat(value))}"
        for name, value in values.items()
    )


def phrase(text: str) -> str:
    """Returns text from a log as a part of a check's message.

    There `;` stands between two findings alone: patterns of known defects rely on it.
    """
    return text.replace(";", ",")


def duration(seconds: float | None) -> str:
    """Returns seconds in words: `0.4 s`, `62.7 s`, `3 min 12 s`, or `2 h 05 min`."""
    if seconds is None or not 0 <= seconds < 1e9:
        return "unknown time"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plural(count: int, noun: str) -> str:
    """Returns `1 case`, `2 cases`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def mib(size: int | float | None) -> str:
    """Returns bytes in MiB with one digit; in KiB below a tenth of a MiB."""
    if size is None:
        return "? MiB"
    if 0 < abs(size) < MIB / 10:
        return f"{size / 1024:,.1f} KiB"
    return f"{size / MIB:,.1f} MiB"


def _last_state(line: str) -> str:
    """The last thing a terminal would show of a line that carriage returns overwrote."""
    if "\r" not in line:
        return line
    for state in reversed(line.split("\r")):
        if state.strip():
            return state
    return ""
