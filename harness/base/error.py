"""The driver's exceptions: each carries one clear line for the user."""

from __future__ import annotations

EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_NOT_JUDGED = 2
EXIT_USAGE = 4
EXIT_INTERRUPTED = 130


class HarnessError(Exception):
    """Something the user must know: what is wrong, where, and what to do, in one line."""


class UsageError(HarnessError):
    """Bad input or a preflight that failed; nothing was run (exit code 4)."""


class EngineError(HarnessError):
    """The engine could not do its part: infrastructure, not the product under test."""


class UnavailableError(HarnessError):
    """A flavor cannot be had on this machine; its cases are skipped with this reason."""


class StoppedError(HarnessError):
    """The run was stopped while something was waited for."""
