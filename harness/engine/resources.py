"""Cores and memory that phases may use here: of the host, less what holds this process back.

A batch system or a container gives a process fewer cores, by its affinity or by a quota of its
cgroup, and less memory than the host has; `/proc` and `os.cpu_count` tell of the host all the same.
Files of cgroups: https://docs.kernel.org/admin-guide/cgroup-v2.html (`cpu.max`, `memory.max`),
https://docs.kernel.org/admin-guide/cgroup-v1/ (`cpu.cfs_quota_us`, `memory.limit_in_bytes`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

_MOUNTS = "sys/fs/cgroup"


@dataclass(frozen=True)
class Resources:
    """What all phases of a run together may use.

    Attributes:
        cores: CPUs, at least 1.
        memory_bytes: memory, less none for the operating system.
    """

    cores: int
    memory_bytes: int


def of_host() -> Resources:
    """The resources of this process."""
    return within_cgroups(_allowed_cores(), psutil.virtual_memory().total, Path("/"))


def within_cgroups(cores: int, memory_bytes: int, root: Path) -> Resources:
    """The host's resources, limited by the cgroups of this process and by those above them.

    Args:
        cores: CPUs of the process' affinity.
        memory_bytes: memory of the host.
        root: where `proc/self/cgroup` and `sys/fs/cgroup` are looked for.
    """
    quotas, limits = [float(cores)], [memory_bytes]
    for directory in _directories(root):
        quotas.extend(_quota(directory))
        limits.extend(_memory(directory))
    # A fraction of a CPU is no core: two phases on one and a half would wait for each other.
    return Resources(max(1, int(min(quotas))), min(limits))


def oom_kills() -> int:
    """How many processes of this machine the kernel has killed for want of memory since it started.

    Those that were killed for the limit of a cgroup are counted too. 0 where it is not told.
    """
    words = _words(Path("/proc/vmstat"))
    counts = dict(zip(words[::2], words[1::2], strict=False))
    return _number(counts.get("oom_kill", "")) or 0


def _allowed_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _directories(root: Path) -> Iterator[Path]:
    """Directories of the process' cgroups and of their ancestors, in each mounted hierarchy.

    A container that sees the host's cgroup paths has its own cgroup mounted as the root of the
    hierarchy: the path is not there, and the mount itself holds the limits.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        path = PurePosixPath("/", name).relative_to("/")
        for mount in _mounts(root, controllers):
            for ancestor in (path, *path.parents):
                if ".." not in ancestor.parts and (mount / ancestor).is_dir():
                    yield mount / ancestor


def _mounts(root: Path, controllers: str) -> list[Path]:
    """Where a hierarchy is mounted, by the convention that every distribution keeps.

    Args:
        controllers: of version 1, e.g. "cpu,cpuacct"; "" for version 2.
    """
    if not controllers:
        return [root / _MOUNTS, root / _MOUNTS / "unified"]  # the latter beside version 1
    wanted = {"cpu", "memory"}.intersection(controllers.split(","))
    names = dict.fromkeys([controllers, *sorted(wanted)]) if wanted else {}
    return [root / _MOUNTS / name for name in names]


def _quota(directory: Path) -> Iterator[float]:
    """CPUs that a cgroup may keep busy, where it has a quota."""
    words = _words(directory / "cpu.max")
    if not words:
        words = _words(directory / "cpu.cfs_quota_us") + _words(directory / "cpu.cfs_period_us")
    numbers = [_number(word) for word in words]
    if len(numbers) == 2 and numbers[0] and numbers[1]:  # "max" and -1 mean none
        yield numbers[0] / numbers[1]


def _memory(directory: Path) -> Iterator[int]:
    """Bytes that a cgroup may take, where it has a limit."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        for word in _words(directory / name)[:1]:
            limit = _number(word)
            if limit:
                yield limit  # version 1 gives "no limit" as more than any host has


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 20 else None
