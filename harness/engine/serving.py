"""A phase that serves, and its client beside it: readiness, the client's run, a clean stop.

The server is the phase; the client is one more script in a place of its own. The marker `ready` is
looked for in the server's growing log, so that nothing of the engine knocks at its port.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.engine.handle import Handle, Limits, Stopped
from harness.engine.protocol import Exit
from harness.logs import markers
from harness.record.models import Outcome

READY_S = 120.0  # a server has imported its framework and loaded its model by then
_LOOK_S = 0.05
_LINE_LIMIT = 1 << 16  # bytes of a line that are looked at; a marker `ready` is short
_CHUNK = 1 << 20

StartClient = Callable[[int], AbstractContextManager[Handle]]


def run(server: Handle, log: Path, start_client: StartClient, limits: Limits) -> Exit:
    """Waits until the server is ready, runs the client to its end, and stops the server.

    Args:
        log: the server's standard output.
        start_client: starts the client of a server that listens at the port.
    """
    port, stopped = _wait_until_ready(server, ReadyLog(log), limits)
    client: Exit | None = None  # how it ended by itself
    about_client = None
    if port is not None:
        with start_client(port) as part:
            stopped = _attend(server, part, limits)
            by_itself = part.ended(0.0)
            if not by_itself:
                part.stop()
            ended = part.finish()
        client, about_client = ended if by_itself else None, dict(ended.details)
    ended_early = server.ended(0.0)
    stopped_by_term = ended_early or server.stop()
    end = server.finish()
    details = {**end.details, "client": about_client}
    if stopped is not None:
        outcome, reason = stopped
        return Exit(outcome, None, reason, details)
    outcome, code, reason = _judge(
        end, client, _fault(end, port is not None, ended_early, stopped_by_term)
    )
    parts = [part for part in (end, client) if part is not None and part.outcome is outcome]
    return Exit(outcome, code, reason, details, any(part.transient for part in parts))


class ReadyLog:
    """Finds the marker `ready` in a log that grows.

    Attributes:
        behind: whether the last look may have left something unread.
    """

    def __init__(self, path: Path) -> None:
        self.behind = False
        self._path = path
        self._position = 0
        self._line = b""  # the start of a line that has not ended yet

    def port(self) -> int | None:
        """The server's port once it is ready, else None.

        A look reads at most 1 MiB: a server that floods its log must not keep whoever looks from
        its limits.

        Raises:
            ValueError: the marker names no port.
        """
        chunk = self._read()
        self.behind = len(chunk) == _CHUNK
        *lines, rest = (self._line + chunk).split(b"\n")
        self._line = rest[:_LINE_LIMIT]
        for line in lines:
            for text in markers.markers(line[:_LINE_LIMIT]):
                port = _port(text)
                if port is not None:
                    return port
        return None

    def _read(self) -> bytes:
        try:
            with self._path.open("rb", buffering=0) as log:
                log.seek(self._position)
                chunk = log.read(_CHUNK)
        except FileNotFoundError:
            return b""  # a fork makes its logs itself, a moment after it was started
        self._position += len(chunk)
        return chunk


def _port(text: bytes) -> int | None:
    try:
        return markers.ready_port(text)
    except markers.MalformedError:
        raise ValueError("the server said `ready` without a port between 1 and 65535") from None


def _wait_until_ready(
    server: Handle, log: ReadyLog, limits: Limits
) -> tuple[int | None, Stopped | None]:
    """The server's port; or None, with a reason unless the server has ended."""
    late = time.monotonic() + READY_S
    while True:
        # Asked before the log is read: what an ended server said is complete.
        ended = server.ended(0.0 if log.behind else min(limits.pause(), _LOOK_S))
        try:
            port = log.port()
        except ValueError as problem:
            return None, (Outcome.FAILED, str(problem))
        if ended and (port is not None or not log.behind):
            return None, None
        if port is not None:
            return port, None
        stopped = limits.reached()
        if stopped is None and time.monotonic() >= late:
            stopped = Outcome.TIMED_OUT, f"still running after {READY_S:g} s"
        if stopped is not None:
            outcome, reason = stopped
            if outcome is Outcome.TIMED_OUT:
                reason = f"the server was not ready: {reason}"
            return None, (outcome, reason)


def _attend(server: Handle, client: Handle, limits: Limits) -> Stopped | None:
    """Waits until one of the two has ended; returns why both have to stop, or None."""
    while not client.ended(limits.pause()):
        if server.ended(0.0):
            return None
        found = limits.reached()
        if found is not None and found[0] is Outcome.TIMED_OUT:
            return found[0], f"client: {found[1]}"
        if found is not None:
            return found
    return None


@dataclass(frozen=True)
class _Fault:
    """What a server did wrong.

    Attributes:
        first: it comes before what the client did, and may explain it.
    """

    outcome: Outcome
    reason: str
    first: bool


def _fault(server: Exit, ready: bool, ended_early: bool, stopped_by_term: bool) -> _Fault | None:
    """What was wrong with the server's end; None where TERM ended it with exit code 0.

    Args:
        ready: it said so before it ended.
        ended_early: it ended before it was asked to.
        stopped_by_term: TERM was enough to end it.
    """
    how = server.reason or "exit code 0"
    grave = server.outcome in (Outcome.OUT_OF_MEMORY, Outcome.ENGINE_ERROR)
    if ended_early:
        outcome = Outcome.FAILED if server.outcome is Outcome.COMPLETED else server.outcome
        when = "stopped" if ready else "ready"
        return _Fault(outcome, f"the server ended before it was {when}: {how}", True)
    if grave:
        return _Fault(server.outcome, f"the server: {how}", True)
    if not stopped_by_term:
        reason = "the server was killed: it did not end when it was stopped (TERM)"
        return _Fault(Outcome.FAILED, reason, False)
    if server.outcome is not Outcome.COMPLETED:
        reason = f"the server did not end with exit code 0 when it was stopped (TERM): {how}"
        return _Fault(Outcome.FAILED, reason, False)
    return None


def _judge(
    server: Exit, client: Exit | None, fault: _Fault | None
) -> tuple[Outcome, int | None, str]:
    """Outcome, exit code and reason of a serving phase that no limit stopped."""
    failed = client is not None and client.outcome is not Outcome.COMPLETED
    words = f"client: {client.reason}" if client is not None and failed else ""
    if client is not None and failed and (fault is None or not fault.first):
        return (
            client.outcome,
            client.code,
            "; ".join([words, *([fault.reason] if fault else [])]),
        )
    if fault is None:
        return server.outcome, server.code, server.reason
    return fault.outcome, server.code, "; ".join([fault.reason, *([words] if failed else [])])
