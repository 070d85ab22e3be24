"""A process and all that descend from it, as the sampler and the end of a phase see them."""

from __future__ import annotations

from pathlib import Path

import psutil


class ProcessTree:
    """A target that is a process and all that descend from it, with no container.

    Asks each process of the host once for its parent, so that a look costs little more than a list
    of pids. A descendant stays one when its parent ends.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known: set[int] = set()
        self._members: set[int] | None = None

    def pids(self) -> set[int]:
        """The pids that there are now."""
        listed = set(psutil.pids())
        if self._members is None:
            self._members = {self._pid}
        self._members &= listed
        if self._members:
            self._adopt({pid: _parent(pid) for pid in sorted(listed - self._known)}, self._members)
        self._known = listed
        return set(self._members)

    def cgroup(self) -> Path | None:
        """None: the process shares its cgroup with others."""
        return None

    @staticmethod
    def _adopt(parents: dict[int, int | None], members: set[int]) -> None:
        """Adds the pids whose parent is a member; again while that makes others' parents one."""
        while found := {pid for pid, parent in parents.items() if parent in members} - members:
            members |= found


def _parent(pid: int) -> int | None:
    """The pid of a process' parent; None for a process that has ended."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None
