"""What is below a directory: plain files and directories, each opened without a link on the way."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from harness.base.error import HarnessError

DEPTH = 100  # directories within directories; walking recurses
# Never through a link, and never to wait for whoever opens the other end of a FIFO.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TreeError(HarnessError):
    """A tree is larger or deeper than anything of ours; reads after what it is of."""


@dataclass(frozen=True)
class Entry:
    """A plain file or a directory.

    Attributes:
        parent: descriptor of the directory that it is in, while it is walked.
        path: below the tree.
    """

    parent: int
    name: str
    path: str
    facts: os.stat_result

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.facts.st_mode)


def entries(
    directory: int, skip: Collection[str] = (), above: str = "", depth: int = 0
) -> Iterator[Entry]:
    """What is below a directory, each directory before its content; links and the like are not.

    Args:
        directory: its descriptor.
        skip: paths below the tree that are left out, with all that is below them.

    Raises:
        OSError: something cannot be read; its filename is the path below the tree.
        TreeError: directories are nested deeper than 100.
    """
    for name in names(directory, above, depth):
        path = above + name
        if path in skip:
            continue
        with named(path):
            facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        entry = Entry(directory, name, path, facts)
        if entry.is_directory or stat.S_ISREG(facts.st_mode):
            yield entry
        if entry.is_directory:
            with opened(name, directory, path) as below:
                yield from entries(below, skip, f"{path}/", depth + 1)


def names(directory: int, path: str, depth: int) -> list[str]:
    """Names in a directory.

    Raises:
        OSError: it cannot be read.
        TreeError: it is too deep.
    """
    if depth > DEPTH:
        raise TreeError(f"are nested deeper than {DEPTH} directories")
    with named(path.rstrip("/") or "."):
        return os.listdir(directory)


@contextlib.contextmanager
def opened(name: str, parent: int | None = None, path: str = "") -> Iterator[int]:
    """A descriptor of a file or directory, never that of a link's target.

    Raises:
        OSError: it cannot be opened.
    """
    with named(path or name):
        descriptor = os.open(name, READ, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named(path: str) -> Iterator[None]:
    """An error of the system's is of this path."""
    try:
        yield
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, path) from None
