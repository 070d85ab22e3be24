"""Whose fault the end of an execution is: the phase's, the infrastructure's, the harness's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.base import crash
from harness.base import directory as directories
from harness.base.text import one_line
from harness.engine import ending
from harness.engine.protocol import Exit, Launch
from harness.measure.gpu import NvmlError
from harness.record.facts import LogFacts
from harness.record.models import BUG, Outcome
from harness.report.attachments import read_tail
from harness.run.attempts import signatures

# How a script says that what the harness promised it is not there (docs/contract.md).
_BROKEN_PROMISE = 3
_PROMISE_LINE = "error: "


def exit_of(problem: Exception) -> Exit:
    """What was raised around a phase, as its end: infrastructure, or a bug of the harness."""
    if not crash.is_bug(problem):
        # A GPU that is busy, or gone, is no reason against another one.
        transient = isinstance(problem, NvmlError)
        reason = one_line(str(problem), 500)
        return Exit(Outcome.ENGINE_ERROR, None, reason, transient=transient)
    details: dict[str, Any] = {BUG: crash.text(problem)}
    reason = f"the harness itself broke: {crash.summary(problem)}"
    return Exit(Outcome.ENGINE_ERROR, None, reason, details)


def said_by_itself(ended: Exit, launch: Launch) -> Exit:
    """An end of which the script itself says whose fault it is, on standard error.

    With exit code 3 and a line `error: ...` it says that what the harness promised is not there,
    such as the GPU: nothing of the product under test was tried, and the line is the reason.
    Without one it is a failure like others. And it says which signal it sends to itself.
    """
    if ended.outcome not in (Outcome.FAILED, Outcome.KILLED):
        return ended
    client = launch.client if ended.reason.startswith("client: ") else None
    logs = launch.logs if client is None else client.logs
    lines = read_tail(logs / "stderr.log")
    if ended.outcome is Outcome.KILLED:
        return ending.by_itself(ended, lines)
    for line in reversed(lines if ended.code == _BROKEN_PROMISE else []):
        if line.startswith(_PROMISE_LINE):
            return replace(ended, outcome=Outcome.ENGINE_ERROR, reason=one_line(line, 500))
    return ended


def without_room(ended: Exit, directory: Path) -> Exit:
    """An exit that may be for want of room on the disk is no failure of what is tested.

    Args:
        directory: one of the phase's own.
    """
    if ended.outcome in (Outcome.COMPLETED, Outcome.ENGINE_ERROR, Outcome.INTERRUPTED):
        return ended
    try:
        directories.require_room(directory.parent)
    except OSError as problem:
        reason = f"nothing can be written to its directory ({problem.strerror}): {ended.reason}"
        return replace(ended, outcome=Outcome.ENGINE_ERROR, reason=reason)
    return ended


def again(ended: Exit, facts: LogFacts, on_gpu: bool) -> str | None:
    """Why an execution does not count, and the phase is worth another attempt; None: it counts.

    Never what the phase did: a failure of its own, a time that ran out, memory that did not last, a
    promise that was broken about anything but the GPU. Nor a bug of the harness, nor a stop.
    """
    if ended.transient or (on_gpu and signatures.of_promise(ended)):
        return ended.reason
    found = signatures.of_failure(ended, facts) if on_gpu else None
    return None if found is None else f"{found.means}: {ended.reason}"
