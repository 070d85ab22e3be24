"""The log files of a run, as reports show them: bounded tails, and attachments for Jenkins.

A log may have any size and content, and a record may have been edited: only regular files below
the run directory are touched, and a log is never read whole.
"""

# pathlib is too slow here, see RunFiles.
# ruff: noqa: PTH102, PTH103, PTH108, PTH118, PTH119

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from harness.base.text import clean, clip
from harness.record.models import PhaseRecord
from harness.report.totals import NamedPhase

STREAMS = ("stderr", "stdout")
_BESIDE = ("timeline.json", "samples.csv", "details.json")  # what lies beside the logs of a phase
_OF_CLIENT = ("client/stderr", "client/stdout")  # of the script that a serving phase served
TAIL_BYTES = 20_000
TAIL_LINES = 100
LINE_CHARACTERS = 1_000
# Jenkins copies an attachment into the build's directory on the controller, once per test case.
ATTACHED_BYTES = 20 * 1024 * 1024

_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\Z")


def project_directory(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The directory below which GitLab names attachments; None outside of a job of GitLab.

    It links the first attachment of a failed test case by that path, and reads the rest of our
    JUnit as it is (https://docs.gitlab.com/ci/testing/unit_test_reports/).
    """
    place = environ.get("CI_PROJECT_DIR")
    return Path(place) if environ.get("GITLAB_CI") == "true" and place else None


class LogFiles(Protocol):
    """What a report takes from the log files of a run."""

    def tail(self, phase: PhaseRecord) -> tuple[str, list[str]]:
        """Returns the log's name and its last lines, cleaned; no lines when there are none."""

    def attachments(self, case: str, phases: Sequence[NamedPhase]) -> Iterator[str]:
        """Yields paths of logs of a case as a report names them, each with another file name."""


class NoLogFiles:
    """A run whose log files are not at hand."""

    def tail(self, phase: PhaseRecord) -> tuple[str, list[str]]:
        """Returns nothing."""
        return "", []

    def attachments(self, case: str, phases: Sequence[NamedPhase]) -> Iterator[str]:
        """Yields nothing."""
        yield from ()


class RunFiles:
    """The log files below a run directory.

    Paths are strings here: with ten thousand cases, `pathlib` takes most of a report's time.
    """

    def __init__(self, run_directory: Path, project: Path | None = None) -> None:
        """See the class.

        Args:
            project: paths below it are given from there; others, and by default all, are absolute.
        """
        self._root = os.path.realpath(run_directory)
        self._project = None if project is None else os.path.realpath(project) + os.sep
        self._parents: dict[str, str] = {}  # directory → its real path
        self._logs: dict[str, dict[str, os.stat_result]] = {}  # of a phase's key: path → facts
        self._files: dict[str, list[tuple[str, str]]] = {}  # of a phase's key

    def tail(self, phase: PhaseRecord) -> tuple[str, list[str]]:
        """Returns the end of stderr.log, or of stdout.log where the first is empty."""
        for path in self._of(phase):
            lines = read_tail(path)
            if lines:
                return f"{phase.directory}/{_below(path)}", lines
        return "", []

    def attachments(self, case: str, phases: Sequence[NamedPhase]) -> Iterator[str]:
        """Yields links `attachments/<case>/<phase>-<stream>.log`, made when they are asked for.

        The links are hard links, so they cost no space: Jenkins drops the second of two
        attachments with the same file name, and every phase's log is called stdout.log.
        """
        if not _SAFE.match(case):
            return
        directory = os.path.join(self._root, "attachments", case)
        there: dict[str, int] | None = None
        for name, phase in phases:
            if not _SAFE.match(name):
                continue
            for path, facts in self._of(phase).items():
                if not 0 < facts.st_size <= ATTACHED_BYTES:
                    continue
                if there is None:
                    there = self._make(directory)
                    if there is None:
                        return
                link = f"{name}-{_below(path).replace('/', '-')}"
                target = f"{directory}/{link}"
                if there.get(link) == facts.st_ino or _link(path, facts, target):
                    yield target if self._project is None else target.removeprefix(self._project)

    def of(self, phase: PhaseRecord) -> list[tuple[str, str]]:
        """The files of a phase for a reader: names, and paths below the run directory.

        Only what is a regular file there, and logs only where they hold something.
        """
        if phase.key in self._files:
            return self._files[phase.key]
        found = [(_below(path), path) for path, facts in self._of(phase).items() if facts.st_size]
        with suppress(OSError, ValueError):
            directory = self._directory(phase.directory)
            if directory is not None:
                with os.scandir(directory) as entries:
                    plain = {e.name for e in entries if e.is_file(follow_symlinks=False)}
                found += [(name, f"{directory}/{name}") for name in _BESIDE if name in plain]
        start = len(self._root) + 1
        self._files[phase.key] = [(name, path[start:]) for name, path in found]
        return self._files[phase.key]

    def _of(self, phase: PhaseRecord) -> dict[str, os.stat_result]:
        """A phase's logs that are regular files below the run directory."""
        if phase.key in self._logs:
            return self._logs[phase.key]
        found = self._logs[phase.key] = {}
        with suppress(OSError, ValueError):
            directory = self._directory(phase.directory)
            if directory is not None:
                streams = [*STREAMS, *(_OF_CLIENT if phase.details.get("client") else ())]
                for stream in streams:
                    path = f"{directory}/{stream}.log"
                    with suppress(OSError):
                        facts = os.lstat(path)
                        if stat.S_ISREG(facts.st_mode):
                            found[path] = facts
        return found

    def _directory(self, path: str) -> str | None:
        """The real path of a phase's directory, if it is one below the run directory."""
        parent, name = os.path.split(f"{self._root}/{path}")
        if parent not in self._parents:
            self._parents[parent] = os.path.realpath(parent)
        directory = f"{self._parents[parent]}/{name}"
        if name in ("", ".", "..") or not self._inside(directory):
            return None
        return directory if stat.S_ISDIR(os.lstat(directory).st_mode) else None

    def _make(self, directory: str) -> dict[str, int] | None:
        """Makes a directory; what it holds, with inodes: a run's reports are written many times.

        None where it cannot be made, or is none that is really below the run directory.
        """
        try:
            try:
                os.mkdir(directory)
            except FileNotFoundError:
                os.makedirs(directory)
            except FileExistsError:
                pass
            if self._directory(directory[len(self._root) + 1 :]) is None:
                return None
            with os.scandir(directory) as entries:
                return {entry.name: entry.inode() for entry in entries}
        except OSError:
            return None

    def _inside(self, path: str) -> bool:
        return path.startswith(self._root + os.sep)


def _below(path: str) -> str:
    """Path of a log below its phase's directory: `stderr.log`, `client/stderr.log`."""
    parent, name = os.path.split(path)
    return f"client/{name}" if os.path.basename(parent) == "client" else name


def _link(path: str, facts: os.stat_result, target: str) -> bool:
    """Makes `target` a hard link to a log, or a copy where the file system has none."""
    try:
        try:
            os.link(path, target, follow_symlinks=False)
        except FileExistsError:
            if os.lstat(target).st_ino == facts.st_ino:
                return True
            os.unlink(target)
            os.link(path, target, follow_symlinks=False)
    except OSError:
        try:
            with suppress(FileNotFoundError):
                os.unlink(target)
            shutil.copyfile(path, target, follow_symlinks=False)
        except OSError:
            return False
    return True


def read_tail(path: str | Path, size: int = TAIL_BYTES, count: int = TAIL_LINES) -> list[str]:
    """Returns the last lines of a file, cleaned, reading at most `size` bytes; [] if unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - size))
            data = file.read(size)
    except (OSError, ValueError):
        return []
    text = data.decode("utf-8", errors="replace")
    if end > size and "\n" in text:
        text = text.split("\n", 1)[1]  # the first line is a piece of one
    lines = clean(text).rstrip().split("\n")[-count:]
    return [clip(line, LINE_CHARACTERS) for line in lines] if any(lines) else []
