"""What the sampler needs to know of a phase that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Target(Protocol):
    """A started phase, as the sampler sees it."""

    def pids(self) -> set[int]:
        """Host pids of the phase's processes; empty when it has none (any more)."""

    def cgroup(self) -> Path | None:
        """The phase's cgroup v2 directory on the host, or None."""
