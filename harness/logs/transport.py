"""Transport: what carried a log here, and has put its own on it.

The one place that knows about it: compression and encodings of a file; on a line, the labels of
ranks, containers and hosts, and the timestamps of whatever collected it (Jenkins, GitHub, GitLab,
Kubernetes, Docker, journald, srun, mpirun, torchrun, ray). A timestamp that is the start of a
logger's own line stays harmless: `logs.grammar.loggers` reads a line with or without it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import zstandard

SNIFFED = 4096  # bytes from which the form of a log is told
UNPACKED_LIMIT = 1 << 36  # bytes: a small file can claim any size
_PIECE = 1 << 18  # bytes unpacked in one go
_ZSTD_PIECE = 512  # packed bytes: they make 16 MiB at most


class TooLargeError(ValueError):
    """Compressed data that is no log's; the text says why."""


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    """Frames, one after the other; zstandard's own reader does not tell that one is cut off."""
    frame = None
    while data := file.read(_ZSTD_PIECE):
        while data:
            if frame is None:
                frame = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
            yield frame.decompress(data)
            data = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("it is cut off")


def _with(opener: Callable[[BinaryIO], Any]) -> Callable[[BinaryIO], Iterator[bytes]]:
    def read(file: BinaryIO) -> Iterator[bytes]:
        with opener(file) as reader:
            while piece := reader.read(_PIECE):
                yield piece

    return read


_PACKED: dict[str, tuple[bytes, tuple[str, ...], Callable[[BinaryIO], Iterator[bytes]]]] = {
    "gzip": (b"\x1f\x8b", (".gz", ".gzip"), _with(gzip.open)),
    "zstd": (b"\x28\xb5\x2f\xfd", (".zst", ".zstd"), _zstd),
    "bzip2": (b"BZh", (".bz2",), _with(bz2.open)),
    "xz": (b"\xfd7zXZ\x00", (".xz",), _with(lzma.open)),
}
_OTHER = {
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive",
    b"\x7fELF": "a program",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a picture",
    b"SQLite format 3": "a database",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = bytes([*range(7), *range(14, 27), *range(28, 32), 127])  # no text, not even a terminal's
_MUCH = 0.02  # of a text may be such bytes: two processes wrote at once, a disk was full


def packing(start: bytes) -> str | None:
    """How data that starts like this is compressed: "gzip", "zstd", "bzip2", "xz" or None."""
    for name, (magic, _, _) in _PACKED.items():
        if start.startswith(magic):
            return name
    return None


def suffixes(form: str) -> tuple[str, ...]:
    """The ends of the names of files that are compressed like this: `.gz` of "gzip"."""
    return _PACKED[form][1]


class Unpacked:
    """The data in a compressed file, also of several archives in a row, in constant memory.

    Iterating ends where the data is damaged or cut off: what was read until then is text.

    Attributes:
        damage: how the data is broken, and where, once the iteration has come to it; else None.
    """

    def __init__(self, file: BinaryIO, form: str) -> None:
        self.damage: str | None = None
        self._file = file
        self._form = form

    def __iter__(self) -> Iterator[bytes]:
        """Yields the data.

        Raises:
            TooLargeError: there is more than anybody's log holds.
        """
        form, size = self._form, 0
        try:
            for piece in _PACKED[form][2](self._file):
                size += len(piece)
                if size > UNPACKED_LIMIT:
                    limit = UNPACKED_LIMIT >> 30
                    raise TooLargeError(f"{form} data of more than {limit} GiB of text")
                yield piece
        except (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as problem:
            self.damage = f"damaged {form} data behind {size} bytes of text: {problem}"


class Text:
    """The text in the pieces of a log: UTF-8, or whatever is most likely made UTF-8.

    Attributes:
        no_text: what the log is, if it is no text: its bytes are passed on as they are.
    """

    def __init__(self) -> None:
        self.no_text: str | None = None

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces as UTF-8, without a byte order mark."""
        source = iter(pieces)
        start = b""
        for piece in source:
            start += piece
            if len(start) >= SNIFFED:
                break
        sample = start[:SNIFFED]
        encoding, mark = _encoding(sample)
        start = start[mark:]
        if encoding == "utf-8":
            self.no_text = self.no_text or _no_text(sample[mark:])
            yield start
            yield from source
            return
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        yield decoder.decode(start).encode("utf-8", "replace")
        for piece in source:
            yield decoder.decode(piece).encode("utf-8", "replace")
        yield decoder.decode(b"", True).encode("utf-8", "replace")


def _encoding(sample: bytes) -> tuple[str, int]:
    """The encoding, and the size of the mark that says so; by its NULs where nothing says so."""
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            return encoding, len(mark)
    half = len(sample) // 2
    if half >= 4:
        even, odd = sample[0::2].count(0) / half, sample[1::2].count(0) / half
        if odd > 0.6 and even < 0.1:
            return "utf-16-le", 0
        if even > 0.6 and odd < 0.1:
            return "utf-16-be", 0
    return "utf-8", 0


def _no_text(sample: bytes) -> str | None:
    form = packing(sample)
    if form is not None and len(sample) > len(sample.translate(None, _BINARY)):
        return f"{form} data (a name that ends in {suffixes(form)[0]} has it unpacked)"
    for magic, name in _OTHER.items():
        if sample.startswith(magic):
            return name
    body = sample.strip(b"\0")  # a log that was truncated while it was written starts with NULs
    bad = len(body) - len(body.translate(None, _BINARY))
    return "binary data" if bad > max(4, _MUCH * len(body)) else None


# --- what was put in front of a line ------------------------------------------------------------

_STAMP = rb"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_CTIME = rb"[A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}"
_TIMES = re.compile(
    rb"(?:" + _STAMP + rb" (?:stdout|stderr) [FP] "  # Kubernetes (CRI)
    rb"|" + _STAMP + rb" \d\d[OE][+ ]"  # GitLab
    rb"|\[" + _STAMP + rb"\] ?"
    rb"|" + _STAMP + rb"[ \t]"
    rb"|\[\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]:? ?"
    rb"|\d\d:\d\d:\d\d(?:[.,]\d{1,9})? {1,2}"
    rb"|\[ {0,6}\d{1,8}\.\d{6}\] "  # dmesg, and with the clock's time:
    rb"|\[" + _CTIME + rb"\] |" + _CTIME + rb"(?=\[\d)"  # mpirun
    rb"|#\d{1,4} \d{1,6}\.\d{1,3} "  # BuildKit
    rb"|\(raylet(?:, ip=[^)\n]{1,60})?\) "  # of a node, whose workers are labelled
    rb"|[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,9})? "
    rb")"
)
_LABELS = re.compile(
    rb"(?:\[(?:[A-Za-z]{1,20}[ _:=-]?)?\d{1,6}(?:[,:]\d{1,6}){0,2}\]"
    rb"(?:<std(?:out|err|diag)>)?: ?"  # torchrun, mpirun
    rb"|\[\d{1,6},(?:mpirank:)?\d{1,6}(?:,[\w-]{1,60})?\]<std(?:out|err|diag)>:? ?"  # SageMaker
    rb"|\[(?:[a-z][\w.-]{0,60}[-_.:])?(?:std(?:out|err)|err|out)\] |std(?:out|err): "
    rb"|\[[a-z][\w.-]{0,60}[-_]\d{1,6}\] "
    rb"|(?:\d{1,3}\.){3}\d{1,3}: "  # pdsh
    rb"|\[(?i:rank|worker|pid|proc|node|gpu|task)[ _:=-]?\d{1,8}\] ?"
    rb"|(?i:rank|worker|node|task|gpu)[ _-]?\d{1,6} ?[:|] ?"
    rb"| {0,4}\d{1,5}: "  # srun --label
    rb"|\((?:[\w.<>]{1,60} )?(?:pid|rank|ip)=[^)\n]{1,100}\) ?"  # ray
    rb"|\[pod/[^\]\s]{1,200}\] "
    rb"|[a-z][\w.-]{0,80}(?:[-_.]\d{1,6} {0,20}|-[\w.]{1,20} | {2,20})\| ?"  # docker compose
    rb"|[a-z][\w.-]{0,60}[-.]\d{1,6}: "  # pdsh
    rb"|[\w.-]{1,64} [\w./-]{1,64}\[\d{1,8}\]: "  # syslog, behind its time
    rb"|[\w.-]{1,64} kernel: "
    rb"|[^\t\n]{1,100}\t[^\t\n]{1,100}\t(?:\xef\xbb\xbf)?(?=\d{4}-\d\d-\d\dT)"  # gh run view
    rb")"
)
# A count that looks like a label: the next line has another one, and is of the same process.
_COUNT = re.compile(rb"\W?(?i:epoch|step|iter|batch|trial|round|fold|episode|attempt|try|it\b)")
_WRAPPED = re.compile(rb"[{,]\s?\"(log|MESSAGE|textPayload)\":\s?\"")
_DEPTH = 6  # things in front of one another


def stripped(line: bytes) -> tuple[bytes, bytes]:
    """A line's label (rank, container, host; empty for none), and what the program wrote."""
    label = b""
    if line.startswith(b'{"'):
        line = _unwrapped(line)
    for _ in range(_DEPTH):
        found = _TIMES.match(line)
        if found is None:
            found = _LABELS.match(line)
            if found is None or _COUNT.match(line):
                break
            label += found[0].strip()
        line = line[found.end() :]
    return label, line


def _unwrapped(line: bytes) -> bytes:
    """The text in a line of what keeps logs as JSON: Docker, journald, Google Cloud."""
    wrapped = _WRAPPED.search(line)
    if wrapped is None or not line.rstrip().endswith(b"}"):
        return line
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return line
    text = entry.get(wrapped[1].decode("ascii"))
    return text.rstrip("\r\n").encode("utf-8", "replace") if isinstance(text, str) else line
