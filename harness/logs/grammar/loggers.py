"""Lines of loggers and of Python's warnings, in whatever format: how serious their writer found it.

Known formats: Python's `logging` with its usual fields in any order, loguru, coloredlogs, rich,
structlog, absl and glog, optuna and tornado, JSON and logfmt; Python's `warnings`.
"""

from __future__ import annotations

import re
from enum import IntEnum
from itertools import zip_longest

_LOOKED_AT = 240  # bytes of a line: a level stands in front


class Level(IntEnum):
    """How serious a line is to its writer."""

    INFO = 0  # or below
    WARNING = 1  # the program knew, and went on
    ERROR = 2
    FATAL = 3


_WORDS = {
    **dict.fromkeys(("debug", "info", "note", "notice", "success", "trace", "d", "i"), Level.INFO),
    **dict.fromkeys(("warning", "warn", "w"), Level.WARNING),
    **dict.fromkeys(("error", "e"), Level.ERROR),
    **dict.fromkeys(("critical", "fatal", "c", "f"), Level.FATAL),
}
_UPPER = re.compile(
    rb"(?<![A-Za-z0-9_./'\"])(DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL|SUCCESS|TRACE)"
    rb"(?=[\s:\]|)\-,/>\[]|$)"
)
_TOKEN = re.compile(rb"\[[^\]\n]{0,100}\]?|\([^)\n]{0,100}\)?|\S+")
_PLAIN = re.compile(rb"[A-Za-z][\w./'-]*[,;.]?")
_SEPARATORS = (b"-", b"|", b":", b"::", b">", b">>")
_TIME = re.compile(rb"\d\d:\d\d|\d{4}[-/]\d\d")
_SURE = re.compile(rb"\d\d:\d\d|\d{4}[-/]\d\d|\[\d{1,8}\] $")
_APART = re.compile(rb":|\s{2}")  # what a level is set apart with
_LOWER = re.compile(
    rb"[^\n]{0,60}?\[\s{0,2}([Dd]ebug|[Ii]nfo|[Ww]arning|[Ww]arn|[Ee]rror|[Cc]ritical|[Ff]atal)"
    rb"\s{0,4}\]"
    rb"|[^\n]{0,200}?\blevel=\"?(debug|info|warning|warn|error|critical|fatal)\b"
    rb"|\{[^\n]{0,200}?\"(?:level|levelname|severity|lvl)\": ?\"(\w{1,10})\""
    rb"|\W{0,6}([Ww]arning|[Nn]ote|[Ii]nfo)(?:\s?[:!]| -)"
    rb"|(?:##)?\[(debug|warning|notice)\]",
)
_ABSL = re.compile(rb"([DIWEF])\d{4,8} +[\d:.]{8,30} +\d+ ([\w./<>-]+):\d+\]")
_TORCH = re.compile(rb"\[([DIWEF])(?:\d{4} [\d:.]+)? ?([\w./-]+\.(?:cpp|h|cc|cu|hpp)):\d+\]")
_OPTUNA = re.compile(rb"\[(?:NeMo )?([DIWEC]) (?:\d{4}-\d\d-\d\d|\d{6}|\d\d:\d\d)[^\]\n]{0,80}\]")
_CPP = re.compile(
    rb"(?:[\d\-/ :.]{8,40}: )?([IWEF]) \.{0,2}[\w./\\-]+\.(?:cc|cu|h|cpp|hpp|cu\.cc):\d+\]"
)
_PYTHON = re.compile(
    rb"(?:(?:[A-Za-z]:)?[^\s:][^:\n]{0,300}|sys):\d+: \w{0,60}(?:Warning|Category)\b"
    rb"|\w{0,60}Warning: "
)


def native(line: bytes) -> Level | None:
    """How serious a line of a C++ runtime is (TensorFlow, XLA, torch, glog), None for others."""
    for pattern in (_ABSL, _TORCH):
        match = pattern.match(line)
        if match is not None:
            if match[2].endswith((b".py", b">")):
                return None
            return _WORDS[match[1].decode("ascii").lower()]
    match = _CPP.match(line)
    return _WORDS[match[1].decode("ascii").lower()] if match else None


def level(line: bytes) -> Level | None:
    """How serious a Python logger, or Python's warnings, found what the line says.

    None for a line of nobody who says so, and for those of C++ runtimes.
    """
    line = line[:_LOOKED_AT]
    if native(line) is not None:
        return None
    for pattern in (_ABSL, _OPTUNA):
        match = pattern.match(line)
        if match is not None:
            return _WORDS[match[1].decode("ascii").lower()]
    match = _UPPER.search(line)
    if match is not None and _in_front(line[: match.start()], line[match.end() :]):
        return _WORDS[match[1].decode("ascii").lower()]
    match = _LOWER.match(line)
    if match is not None:
        return _WORDS.get(match[match.lastindex or 0].decode("ascii").lower())
    return Level.WARNING if _PYTHON.match(line) else None


def _in_front(head: bytes, rest: bytes) -> bool:
    """Whether this may stand in front of a level: times, brackets, names, but no sentence.

    The time may be gone, as that of a transport.

    Args:
        rest: what stands behind the level.
    """
    tokens = _TOKEN.findall(head)
    words = sum(
        1
        for token, after in zip_longest(tokens, tokens[1:])
        if _PLAIN.fullmatch(token) and after not in _SEPARATORS
    )
    if words > 1:
        return words == 2 and _TIME.search(head) is not None
    return words == 0 or _SURE.search(head) is not None or _APART.match(rest) is not None
