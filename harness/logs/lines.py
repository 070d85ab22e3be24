"""From bytes to blocks of whole lines, in constant memory, whatever the source and its cuts.

Lines end at a newline. A carriage return starts a line over (progress bars), so that each state
of a progress bar is looked at on its own, but it is no line of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from harness.logs.transport import Text

Source = str | os.PathLike[str] | bytes | BinaryIO | Iterable[bytes]

CHUNK = 1 << 20  # bytes looked at in one go
LINE_LIMIT = 1 << 20  # bytes of a line that are kept, and of its end:
TAIL_LIMIT = 8 << 10
_GAP = b" [\0...] "  # for what is left out of a line; no JSON holds a NUL, so no cut marker is read


def chunks(source: Source) -> Iterator[bytes]:
    """Pieces of about CHUNK bytes, whatever the source."""
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    elif isinstance(source, bytes | bytearray | memoryview):
        for start in range(0, len(source), CHUNK):
            yield bytes(source[start : start + CHUNK])
    elif isinstance(source, Iterable) and not hasattr(source, "read"):
        gathered, size = [], 0
        for piece in source:
            gathered.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield from chunks(b"".join(gathered))
                gathered, size = [], 0
        yield b"".join(gathered)
    else:
        while chunk := source.read(CHUNK):
            yield chunk


class Lines:
    """What was read of a log so far, and the start of the line that has not ended.

    Attributes:
        bytes: of text that were read.
        newlines: in it.
        ended: the last byte was a newline.
        cut: lines that were too long.
        no_text: what the first source is that is no text.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.newlines = 0
        self.no_text: str | None = None
        self.ended = True
        self.cut = 0
        self._carry: list[bytes] = []  # the start of a line that has not ended yet
        self._carried = 0  # bytes in it
        self._tail: bytes | None = None  # the end so far of a line that is too long

    def blocks(self, source: Source) -> Iterator[bytes]:
        """Blocks of whole lines, the last of which may lack its end."""
        text = Text()
        for chunk in text.pieces(chunks(source)):
            if chunk:
                self.bytes += len(chunk)
                self.newlines += chunk.count(b"\n")
                self.ended = chunk.endswith(b"\n")
                yield from self._whole(chunk)
        if self._carried:
            yield self._flush(b"")
        self.no_text = self.no_text or text.no_text

    def _whole(self, chunk: bytes) -> Iterator[bytes]:
        if self._carried:
            end = _first_end(chunk)
            self._extend(chunk if end < 0 else chunk[:end])
            if end < 0:
                return
            yield self._flush(chunk[end : end + 1])
            chunk = chunk[end + 1 :]
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if end:
            yield chunk if end == len(chunk) else chunk[:end]
        if end < len(chunk):
            self._extend(chunk[end:])

    def _extend(self, piece: bytes) -> None:
        """Adds to a line that has not ended; beyond the limit only its latest end is kept."""
        self._carried += len(piece)
        if self._tail is not None:
            self._tail = (self._tail + piece)[-TAIL_LIMIT:]
            return
        self._carry.append(piece)
        if self._carried > LINE_LIMIT:
            line = b"".join(self._carry)
            self._carry, self._tail = [line[:LINE_LIMIT]], line[LINE_LIMIT:][-TAIL_LIMIT:]

    def _flush(self, end: bytes) -> bytes:
        line = b"".join(self._carry)
        if self._tail is not None:
            line += _GAP + self._tail
            self.cut += 1
        self._carry, self._carried, self._tail = [], 0, None
        return line + end


def _first_end(chunk: bytes) -> int:
    """Offset of the first newline or carriage return, -1 if there is none."""
    newline = chunk.find(b"\n")
    carriage = chunk.find(b"\r", 0, newline if newline >= 0 else len(chunk))
    return carriage if carriage >= 0 else newline
