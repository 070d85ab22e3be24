"""A console that reports are printed to: plain lines of a fixed width where it is no terminal."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.text import Text

from harness.base.text import clean, one_line

PLAIN_WIDTH = 100  # where the output is no terminal that has a width of its own


class Printer:
    """Prints to a console; nothing of a log is ever read as rich's markup.

    Attributes:
        width: columns of a line.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        # Neither a file nor a CI log has a width; rich would take 80 columns for one.
        self.width = console.width if console.is_terminal else max(console.width, PLAIN_WIDTH)

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Prints one line that is never wrapped, so that commands and paths can be copied."""
        text = Text()
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(clean(words), style)
        self.text(text)

    def wrapped(self, words: str, style: str = "", indent: int = 0) -> None:
        """Prints a paragraph, its later lines indented by two more."""
        lines = textwrap.wrap(
            one_line(words, 2000),
            self.width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines:
            self.text(Text(line, style))

    def text(self, text: Text) -> None:
        """Prints styled text, without what the terminal cannot show."""
        try:
            text.plain.encode(self._console.encoding)
        except UnicodeEncodeError:  # a terminal that cannot show it must not end the run
            plain = text.plain.encode(self._console.encoding, "replace")
            text = Text(plain.decode(self._console.encoding), text.style)
        self._console.print(text, soft_wrap=True)
