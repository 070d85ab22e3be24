"""Processes of phases and of `uv`: each below a supervisor that ends all that descends from it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from harness.base.error import EngineError
from harness.engine import ending, resources
from harness.engine.protocol import Exit
from harness.engine.venv import supervisor
from harness.engine.venv.streams import Streams
from harness.record.models import Outcome

GRACE_S = 5.0  # between TERM and KILL
_START_S = 60.0  # a supervisor's own start on a loaded machine
_LOOK_S = 0.1
_END_S = 20.0  # its patience with what it has to end, and more

Stream = int | IO[bytes]


class Process(Protocol):
    """A started phase, the leader of a session of its own."""

    @property
    def pid(self) -> int:
        """Its pid, and that of its process group."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of the process and of all that descends from it.

        Returns:
            The exit code, minus the signal's number where one ended it.

        Raises:
            subprocess.TimeoutExpired: it still runs.
            EngineError: what had started it ended before it, and took it along.
        """

    def close(self) -> None:
        """Ends it with all that descends from it, where that has not ended."""

    @property
    def unsupervised(self) -> bool:
        """Whether, once it is closed, what left its process group may run: nobody ended that."""


@dataclass(frozen=True)
class Command:
    """What to start: an interpreter and a script, with nothing of the driver's environment.

    Attributes:
        stdout, stderr: paths that it opens to write to.
    """

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
        return Supervised(
            command.arguments,
            command.environment,
            stdout=stdout,
            stderr=stderr,
            directory=command.directory,
        )


class Answers:
    """Lines of JSON from a pipe or socket, with a timeout."""

    def __init__(self, stream: IO[bytes] | socket.socket) -> None:
        self._stream = stream
        self._buffer = b""
        # Not select(), which knows no descriptor above 1023.
        self._selector = selectors.DefaultSelector()
        self._selector.register(stream, selectors.EVENT_READ)

    def next(self, timeout: float | None) -> dict[str, Any] | None:
        """The next answer; {} at the end of the stream; None when none comes in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not self._selector.select(left):
                return None
            try:
                chunk = os.read(self._stream.fileno(), 4096)
            except ConnectionError:
                chunk = b""
            if not chunk:
                return {}
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def close(self) -> None:
        """Closes the stream."""
        self._selector.close()
        self._stream.close()


class Supervised:
    """A command below its supervisor, as `Process`. See `supervisor`."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = subprocess.DEVNULL,
        stderr: Stream = subprocess.DEVNULL,
        directory: Path | None = None,
        held: Sequence[int] = (),
    ) -> None:
        """Starts it.

        Args:
            held: descriptors that the supervisor keeps open until all it has to end has ended.

        Raises:
            OSError: it could not be started.
        """
        own, its = socket.socketpair()
        self._answers = Answers(own)
        self._channel = own
        self._code: int | None = None
        self._lost = False
        self._lock = threading.Lock()
        try:
            with its:
                self._supervisor = subprocess.Popen(
                    [
                        *(sys.executable, "-I", "-S", supervisor.__file__, str(its.fileno())),
                        *arguments,
                    ],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=directory,
                    env=dict(environment),
                    pass_fds=(its.fileno(), *held),
                    start_new_session=True,
                )
        except BaseException:
            self._answers.close()
            raise
        self.stdin, self.stdout = self._supervisor.stdin, self._supervisor.stdout
        first = self._answers.next(_START_S) or {}
        if "pid" not in first:
            self.close()
            for stream in (self.stdin, self.stdout):
                if stream is not None:
                    stream.close()
            raise OSError(first.get("error", "its supervisor did not start"))
        self.pid = int(first["pid"])

    def wait(self, timeout: float | None = None) -> int:
        """See `Process`."""
        with self._lock:
            if self._code is None and not self._lost:
                answer = self._answers.next(timeout)
                if answer is None:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
                self._take(answer)
            return self._told()

    def end_descendants(self) -> None:
        """Ends all that descends from the command, which goes on."""
        with self._lock:
            if self._code is not None or self._lost:
                return
            with contextlib.suppress(OSError):
                self._channel.sendall(b"\n")
            answer = self._answers.next(_END_S) or {}
            if "ended" not in answer:  # so has the command, or the supervisor does not answer
                self._take(answer)

    def close(self) -> None:
        """See `Process`."""
        with self._lock:
            self._answers.close()
            if self._code is None:
                self._code = -signal.SIGKILL
        try:
            self._supervisor.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    @property
    def unsupervised(self) -> bool:
        """See `Process`."""
        return self._supervisor.returncode not in (None, 0)

    def _take(self, answer: Mapping[str, Any]) -> None:
        """What the supervisor says of the command's end; nothing where it was ended itself."""
        if "status" in answer:
            self._code = exit_code(answer)
        else:
            self._lost = True

    def _told(self) -> int:
        if self._code is None:
            raise EngineError("its supervisor was ended, by a signal that the harness did not send")
        return self._code


class Running:
    """A started process group, as `handle.Handle`."""

    def __init__(
        self, started: Process, command: Command, streams: Streams, hurry: threading.Event
    ) -> None:
        self.pid = started.pid
        self.command = command
        self._hurry = hurry
        self._process = started
        self._streams = streams
        self._oom_kills = resources.oom_kills()

    def ended(self, seconds: float | None) -> bool:
        """Whether it has ended, with all that descends from it; returns as soon as it has."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        except EngineError:
            pass  # `finish` tells it
        return True

    def stop(self) -> bool:
        """TERM to the whole group, and KILL after the grace period, or in a hurry."""
        stop_group(self.pid, signal.SIGTERM)
        late, stopped_by_term = time.monotonic() + GRACE_S, False
        while not stopped_by_term and not self._hurry.is_set() and time.monotonic() < late:
            stopped_by_term = self.ended(_LOOK_S)
        stop_group(self.pid, signal.SIGKILL)
        self.ended(None)
        return stopped_by_term

    def finish(self) -> Exit:
        """How it ended; its logs are complete then."""
        self._streams.close()
        details = {
            "pid": self.pid,
            "command": self.command.arguments,
            "logs": self._streams.facts,
        }
        problem = self._streams.problem
        if problem is not None:
            reason = f"its logs could not be written: {problem.strerror or problem}"
            return Exit(Outcome.ENGINE_ERROR, None, reason, details)
        try:
            code = self._process.wait()
        except EngineError as lost:
            return Exit(Outcome.ENGINE_ERROR, None, str(lost), details, transient=True)
        memory = code == -signal.SIGKILL and resources.oom_kills() > self._oom_kills
        return ending.exit_of(code, details, "this machine's memory, or a limit" if memory else "")


def exit_code(answer: Mapping[str, Any]) -> int:
    """The exit code that an answer tells; that of a kill where it tells none."""
    status = answer.get("status")
    return -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(int(status))


def stop_group(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process group, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
