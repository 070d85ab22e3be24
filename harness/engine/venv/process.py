"""Processes of phases: started cold, or forked from one that has imported the framework."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from harness.engine.protocol import Exit
from harness.record.models import Outcome

GRACE_S = 5.0  # between TERM and KILL
LOG_LIMIT = 256 * 2**20  # bytes of one log
_START_S = 120.0  # an import from a cold disk


class Process(Protocol):
    """A started phase, the leader of a session of its own."""

    @property
    def pid(self) -> int:
        """Its pid, and that of its process group."""

    def poll(self) -> int | None:
        """Exit code, minus the signal's number where one ended it, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """


@dataclass(frozen=True)
class Command:
    """What to start: an interpreter and a script, with nothing of the driver's environment."""

    python: str
    script: Path
    environment: Mapping[str, str]
    directory: Path
    stdout: Path
    stderr: Path

    @property
    def arguments(self) -> list[str]:
        """The command line; -s leaves the user's own packages out."""
        return [self.python, "-s", "-u", str(self.script)]


def start(command: Command) -> Process:
    """Starts a process from nothing.

    Raises:
        OSError: it could not be started.
    """
    with command.stdout.open("wb") as stdout, command.stderr.open("wb") as stderr:
        return subprocess.Popen(
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=command.directory,
            env=dict(command.environment),
            start_new_session=True,
        )


class Running:
    """A started process group, as `handle.Handle`."""

    def __init__(self, started: Process, command: Command) -> None:
        self.pid = started.pid
        self.command = command
        self._process = started
        self._descriptor: int | None = None
        with contextlib.suppress(AttributeError, OSError):
            self._descriptor = os.pidfd_open(started.pid)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def ended(self, seconds: float) -> bool:
        """Whether it has ended; returns as soon as it does, where the kernel can tell."""
        if self._process.poll() is not None:
            return True
        if seconds > 0:
            if self._descriptor is None:
                time.sleep(min(seconds, 0.02))
            else:
                select.select([self._descriptor], [], [], seconds)
        return self._process.poll() is not None

    def over_limit(self) -> str | None:
        """Logs without bound."""
        if any(_size(log) > LOG_LIMIT for log in (self.command.stdout, self.command.stderr)):
            return f"wrote more than {LOG_LIMIT // 2**20} MiB of log"
        return None

    def stop(self) -> bool:
        """TERM to the whole group, and KILL when it is still there after the grace period."""
        stop_group(self.pid, signal.SIGTERM)
        stopped_by_term = True
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            stopped_by_term = False
        stop_group(self.pid, signal.SIGKILL)
        self._process.wait()
        return stopped_by_term

    def finish(self) -> Exit:
        """How it ended."""
        code = self._process.wait()
        details = {"pid": self.pid, "command": self.command.arguments}
        if code == 0:
            return Exit(Outcome.COMPLETED, 0, "", details)
        if code > 0:
            return Exit(Outcome.FAILED, code, f"exit code {code}", details)
        name = (signal.strsignal(-code) or f"signal {-code}").lower()
        kills = code == -signal.SIGKILL
        hint = "; the kernel's out-of-memory killer sends it too" if kills else ""
        reason = f"ended by a signal ({name}){hint}"
        return Exit(Outcome.KILLED, 128 - code, reason, details)


def stop_group(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process group, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0  # a fork makes its logs itself, a moment after it was started


class ForkServer:
    """A process of a flavor that has imported its framework, from which phases are forked.

    One phase at a time. See `scenarios/common/forkserver.py`.
    """

    def __init__(
        self, python: str, server: Path, modules: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Starts the server.

        Raises:
            OSError: it could not be started, or says that it cannot fork safely.
        """
        self._process = subprocess.Popen(
            [python, "-s", "-u", str(server), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers = _Answers(self._process.stdout)
        first = self._answers.next(_START_S)
        if first is None or "ready" not in first:
            self.close()
            raise OSError(str((first or {}).get("error", "the fork server did not start")))

    def start(self, command: Command) -> Process:
        """Forks a phase.

        Raises:
            OSError: the server is gone.
        """
        request = {
            "script": str(command.script),
            "environment": dict(command.environment),
            "directory": str(command.directory),
            "stdout": str(command.stdout),
            "stderr": str(command.stderr),
        }
        self._requests.write(json.dumps(request).encode() + b"\n")
        self._requests.flush()
        answer = self._answers.next(_START_S)
        if answer is None or "pid" not in answer:
            raise OSError("the fork server ended")
        return _Forked(int(answer["pid"]), self._answers)

    def close(self) -> None:
        """Ends the server; a phase that still runs is not touched."""
        with contextlib.suppress(OSError):
            self._requests.close()
        self._process.kill()
        self._process.wait()
        self._answers.close()


class _Forked:
    """A phase whose exit status the fork server tells."""

    def __init__(self, pid: int, answers: _Answers) -> None:
        self.pid = pid
        self._answers = answers
        self._code: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        return self._next(0.0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._next(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def _next(self, timeout: float | None) -> int | None:
        with self._lock:
            if self._code is None:
                answer = self._answers.next(timeout)
                if answer is not None:
                    # A server that ends before its phase was killed together with it.
                    status = answer.get("status")
                    self._code = -9 if status is None else os.waitstatus_to_exitcode(int(status))
            return self._code


class _Answers:
    """Lines of JSON from a pipe, with a timeout."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._buffer = b""

    def next(self, timeout: float | None) -> dict[str, Any] | None:
        """The next answer; {} at the end of the stream; None when none comes in time."""
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._stream], [], [], timeout)
            if not readable:
                return None
            chunk = os.read(self._stream.fileno(), 4096)
            if not chunk:
                return {}
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            return {}
        return answer

    def close(self) -> None:
        self._stream.close()
