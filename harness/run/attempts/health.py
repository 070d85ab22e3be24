"""Whether this machine can still be trusted with phases, by how their executions end. Pure.

One attempt more makes good what happens now and then. Where it happens all the time it only hides
that nothing works: then the run ends, and says so, before hours have been spent on it.
"""

from __future__ import annotations

from harness.base.text import one_line, plural

LEAST = 4
"""So many ends are no accident, however few phases there have been."""
PART = 4
"""More than one in four: of what is then tried again one in sixteen would fail both times."""


class Health:
    """The executions of a run that have ended; a group is one.

    Args:
        at_once: how many run at a time. What one event takes along, such as a daemon that is
            restarted, ends together and is one event: so twice as many have to end.
    """

    def __init__(self, at_once: int) -> None:
        self._least = max(LEAST, 2 * at_once)
        self._ended = 0
        self._bad = 0
        self._last = ""

    def ended(self, reason: str | None) -> None:
        """An execution has ended.

        Args:
            reason: of the infrastructure, or None where it was not that.
        """
        self._ended += 1
        if reason is not None:
            self._bad += 1
            self._last = reason

    @property
    def broken(self) -> str | None:
        """Why nothing more should run here, or None."""
        if self._bad < self._least or self._bad * PART <= self._ended:
            return None
        return (
            f"this machine is broken: {self._bad} of {plural(self._ended, 'execution')} ended for a"
            f" reason of the infrastructure, the last one: {one_line(self._last, 300)}"
        )
