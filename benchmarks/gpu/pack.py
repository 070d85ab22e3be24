"""What comes back of a day with a GPU: at most 8 files, none over 16 MiB, each whole at any time.

Imports nothing but the standard library.
"""

from __future__ import annotations

import io
import json
import tarfile
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.gpu import summary

SUMMARY = "summary.txt"
ARCHIVE = "reports.tar.gz"
LIMIT = 15 * 2**20
# Models, and what is a link to a run that is in the archive itself.
_LEFT = frozenset(("artifacts", "input", "latest", "environment", "data"))
# In the order in which they are left out where all of it is too much.
_LARGE = (".hlo.txt", "samples.csv", "details.json", ".svg", ".html")


def pack(work: Path, out: Path) -> None:
    """Writes the summary, the archive and the proofs; files that are there stay until then."""
    _write(out / SUMMARY, _summary(work).encode())
    # With everything, then without what is large and tells least, at last without what is large.
    choices = [(_LARGE[:count], LIMIT) for count in range(len(_LARGE) + 1)]
    for left, most in (*choices, (_LARGE, LIMIT // 100)):
        content = _archive(work, left, most)
        if len(content) <= LIMIT:
            _write(out / ARCHIVE, content)
            break
    for folder, word in (("reports", ""), ("flags", "-flags")):
        for path in sorted((work / folder).glob("proof-*/proof.json")):
            with suppress(OSError, ValueError):
                content = path.read_bytes()
                # Of several of one flavor the last one, by their names.
                name = Path(str(json.loads(content).get("flavor"))).name
                _write(out / f"proof-{name}{word}.json", content)


def _summary(work: Path) -> str:
    try:
        return "\n".join(summary.lines(work)) + "\n"
    except Exception:  # a summary that fails must not cost the files that it is of
        return f"no summary\n{traceback.format_exc()}"


def _archive(work: Path, left: tuple[str, ...], most: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for path in _files(work):
            if path.name.endswith(left):
                continue
            try:
                # At once: it may be written to.
                content = path.read_bytes()
            except OSError:
                continue
            if len(content) > most:
                continue
            entry = tarfile.TarInfo(str(path.relative_to(work)))
            entry.size, entry.mtime = len(content), int(path.stat().st_mtime)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name in _LEFT or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}")
    part.write_bytes(content)
    part.replace(path)
