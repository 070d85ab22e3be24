"""Claims on what processes share: held by the kernel (flock), and given up when the process ends.

No clock, no pid and no host is asked, so a claim means the same in every container and after every
kill. `filelock` does not fit: nobody shares its locks, and a child cannot hold one on.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from harness.base import directory as directories
from harness.base.error import StoppedError

_LOOK_S = 0.1  # how late a cancellation, or the end of another claim, is seen
_SUFFIX = ".lock"
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Claim:
    """A claim on a file that stands for something; the file is made where it is not there.

    It is of the open file, not of the process: a child that inherits `descriptor` holds it too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self, shared: bool = False) -> bool:
        """Takes the claim, or turns the one that is held into the other kind; never waits.

        Args:
            shared: many may hold it at once; otherwise nobody else holds it in any way.

        Returns:
            Whether it is held now; what was held before is given up where it is not.

        Raises:
            OSError: the file cannot be made or opened, or its file system knows no locks.
        """
        while True:
            descriptor = self._open()
            try:
                fcntl.flock(
                    descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
                )
            except BlockingIOError:
                self.release()
                return False
            except OSError:
                self.release()
                raise
            if _names(self.path, descriptor):
                return True
            self.release()  # whoever held it has removed the file meanwhile

    def wait(self, cancel: threading.Event, shared: bool = False) -> None:
        """Takes the claim as soon as it can be had.

        Raises:
            StoppedError: `cancel` was set before.
            OSError: as for `take`.
        """
        while not self.take(shared):
            if cancel.wait(_LOOK_S):
                raise StoppedError(f"the run was stopped while it waited for {self.path.name}")

    def release(self) -> None:
        """Gives the claim up, for the children that inherited it as well."""
        if self.descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            os.close(self.descriptor)
            self.descriptor = None

    def remove(self) -> None:
        """Removes the file and gives the claim up; it has to be held by nobody else."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.release()

    def _open(self) -> int:
        if self.descriptor is None:
            try:
                self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _OPEN, 0o666)
            except OSError as problem:
                # Another user's file, or storage that is read-only: a descriptor to read from will
                # do, but on NFS.
                if problem.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                with contextlib.suppress(FileNotFoundError):
                    self.descriptor = os.open(self.path, os.O_RDONLY | _OPEN)
                if self.descriptor is None:
                    raise
        return self.descriptor


class ClaimedDirectory:
    """A directory of this process alone: what it holds is garbage when the process has ended.

    Its claim is the file of its name and `.lock` beside it, which is there first and goes last.
    """

    def __init__(self, parent: Path, prefix: str = "") -> None:
        """Makes it, and `parent` too.

        Raises:
            OSError: it cannot be made.
        """
        self.path = parent / f"{prefix}{secrets.token_hex(4)}"
        self._claim = Claim(_beside(self.path))
        parent.mkdir(parents=True, exist_ok=True)
        try:
            # On a file system without locks nobody will know that it is abandoned.
            with contextlib.suppress(OSError):
                self._claim.take()
            self.path.mkdir()
        except BaseException:
            self._claim.remove()
            raise

    def remove(self) -> None:
        """Removes it, with all that is in it."""
        directories.remove(self.path)
        self._claim.remove()


def abandoned(parent: Path, prefix: str = "") -> Iterator[Path]:
    """Directories below `parent` whose process has ended; each is removed after it was given.

    A directory without a claim beside it is nobody's.
    """
    names = {path.name.removesuffix(_SUFFIX) for path in parent.glob(f"{prefix}*")}
    for name in sorted(names - {""}):
        path = parent / name
        claim = Claim(_beside(path))
        try:
            if not claim.take():
                continue
            if path.is_dir() and not path.is_symlink():
                yield path
            if directories.remove(path):
                claim.remove()
        except OSError:
            continue  # read-only storage, or one without locks: nobody can tell
        finally:
            claim.release()


def remove_free(path: Path) -> None:
    """Removes the file of a claim that nobody holds; one that is held, or cannot be, stays."""
    claim = Claim(path)
    with contextlib.suppress(OSError):
        if claim.take():
            claim.remove()
    claim.release()


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}{_SUFFIX}")


def _names(path: Path, descriptor: int) -> bool:
    """Whether the path still names the file that was opened."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
