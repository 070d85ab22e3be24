"""Markdown (GitHub's flavour) that shows any text as it is: whatever it holds is no markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.base.text import one_line

# What starts a construct of Markdown or HTML, or ends a cell.
_MARKUP = re.compile(r"([\\`*\[\]|~#!{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> str:
    """Returns text as one line of Markdown that shows exactly it, also in a table."""
    if isinstance(text, Markdown):
        return text
    line = one_line(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markdown(_MARKUP.sub(r"\\\1", line))


def code(text: str) -> str:
    """Returns text as one line of code."""
    line = one_line(text)
    fence = "`" * (longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{fence}{pad}{line}{pad}{fence}")


def longest_run(line: str) -> int:
    """Returns how many backticks stand together at most."""
    return max((len(run) for run in re.findall("`+", line)), default=0)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table that can be read as text too.

    Args:
        rows: the head first; cells are Markdown, equally many in each.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {cells} |"
        if number == 0:
            yield f"| {' | '.join('-' * width for width in widths)} |"
