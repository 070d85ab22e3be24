"""What drivers that have died left in directories of runs, and what a removal has come to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import directory as directories
from harness.base.claim import Claim

# Of a run's directory while it goes on. It is no part of the run, and goes with its end.
_CLAIM = "running.lock"
# Copies for phases: read-only, so that no user's own `rm -r` removes them, and of use to nobody;
# and what is left of artifacts while they are removed.
_COPIES = (
    "phases/*/input",
    "phases/*/removed",
    "groups/*/input",
    "groups/*/output",
    "shell/*/input",
)
_UNFINISHED = ".*.tmp"  # see `atomic`


@dataclass
class Removal:
    """What was to be removed; a line for each thing.

    Attributes:
        used: left, because a living driver has it.
        failed: left, because it could not be removed; with the reason.
    """

    removed: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __add__(self, other: Removal) -> Removal:
        return Removal(
            self.removed + other.removed, self.used + other.used, self.failed + other.failed
        )


def claim(directory: Path) -> Claim:
    """Claims a run's directory for as long as the run goes on, or a shell of it: to `give_up`.

    Where the file system knows no locks, or is full, the claim is not held: nobody takes such a
    run for dead.
    """
    made = Claim(directory / _CLAIM)
    try:
        made.take()
    except OSError:
        made.remove()
    return made


def give_up(claimed: Claim) -> None:
    """Ends the claim on a run's directory, and removes what no run reads again."""
    _clear(claimed.path.parent)
    claimed.remove()


def reap(reports: Path) -> list[str]:
    """Removes what no run reads again from the directories of dead runs; a line for each run."""
    removed = []
    for path in sorted(reports.glob(f"*/{_CLAIM}")):
        claimed = Claim(path)
        try:
            if claimed.take():
                gone = _clear(path.parent)
                if all(gone):
                    claimed.remove()
                if any(gone):
                    removed.append(f"copies of artifacts in {path.parent.name}, whose driver died")
        except OSError:
            continue  # read-only storage
        finally:
            claimed.release()
    return removed


def _clear(directory: Path) -> list[bool]:
    """Removes it from a run's directory; of each copy whether it is gone."""
    for unfinished in directory.glob(_UNFINISHED):
        with contextlib.suppress(OSError):
            unfinished.unlink()
    copies = [copy for pattern in _COPIES for copy in directory.glob(pattern)]
    return [directories.remove(copy) for copy in copies]
