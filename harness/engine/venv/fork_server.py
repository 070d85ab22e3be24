"""Fork servers: processes that have imported a flavor's framework, from which phases are forked."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.claim import ClaimedDirectory
from harness.base.error import EngineError
from harness.engine.protocol import Launch
from harness.engine.venv import scratch
from harness.engine.venv.process import Answers, Command, Process, Supervised, exit_code, stop_group

_START_S = 120.0  # an import from a cold disk
_LOOK_S = 0.1  # how late a cancellation is seen


class ForkServer:
    """One process; it forks one phase at a time. See `scenarios/forks/server.py`."""

    def __init__(
        self,
        python: str,
        server: Path,
        modules: Sequence[str],
        environment: Mapping[str, str],
        cancel: threading.Event | None = None,
    ) -> None:
        """Starts the server.

        Args:
            environment: with a HOME of its own, by which its forks are known.

        Raises:
            OSError: it could not be started, says that it cannot fork safely, or `cancel` was set.
        """
        self._process = Supervised(
            [python, "-s", "-u", str(server), *modules],
            environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._home = environment.get("HOME")
        self._requests = self._process.stdin
        self._answers = Answers(self._process.stdout)
        cancel = cancel or threading.Event()
        late, first = time.monotonic() + _START_S, None
        while first is None and time.monotonic() < late and not cancel.is_set():
            first = self._answers.next(_LOOK_S)
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
        return _Forked(int(answer["pid"]), self)

    def status(self, timeout: float | None) -> dict[str, Any] | None:
        """How the phase that was forked last has ended; None when that is not told in time.

        All that descends from it has ended then. Nothing is told where the server has ended too.
        """
        answer = self._answers.next(timeout)
        if answer is not None and "status" in answer:
            self._process.end_descendants()
        elif answer is not None:  # the server itself is gone, or about to be: so is its phase
            self._process.close()
            self._end_lost()
        return answer

    def close(self) -> None:
        """Ends the server, and a phase that still runs."""
        with contextlib.suppress(OSError):
            self._requests.close()
        self._process.close()
        self._answers.close()
        self._end_lost()

    def _end_lost(self) -> None:
        """Ends what has lost its supervisor: a fork still has the environment of the server."""
        if self.unsupervised and self._home is not None:
            scratch.end_processes(Path(self._home))

    @property
    def unsupervised(self) -> bool:
        """See `Process`."""
        return self._process.unsupervised


class _Forked:
    """A phase whose exit status the fork server tells."""

    def __init__(self, pid: int, server: ForkServer) -> None:
        self.pid = pid
        self._server = server
        self._code: int | None = None
        self._lost = False
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        with self._lock:
            if self._code is None and not self._lost:
                answer = self._server.status(timeout)
                if answer is None:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
                if "status" in answer:
                    self._code = exit_code(answer)
                else:
                    self._lost = True
            if self._code is None:
                reason = "what it was forked from was ended, by a signal that the harness did not"
                raise EngineError(f"{reason} send")
            return self._code

    def close(self) -> None:
        stop_group(self.pid, signal.SIGKILL)
        with contextlib.suppress(EngineError):
            self.wait()

    @property
    def unsupervised(self) -> bool:
        return self._server.unsupervised


class ForkServers:
    """The fork servers of an engine: one for each thread that runs phases."""

    def __init__(self, directory: Path) -> None:
        """Servers get their home directories below the scratch directory."""
        self._scratch = directory
        self._local = threading.local()
        self._servers: dict[ForkServer, ClaimedDirectory] = {}
        self._lock = threading.Lock()

    def start(self, command: Command, launch: Launch, cancel: threading.Event) -> Process | None:
        """Forks a phase; None where it has to start from nothing.

        Each thread goes flavor by flavor: what it forked from last is done when another is needed.
        """
        key = _key(launch)
        server: ForkServer | None = getattr(self._local, "server", None)
        closed = server is not None and server not in self._servers
        if closed or getattr(self._local, "key", None) != key:
            self._end(server)
            server = self._serve(command, launch, cancel)
            self._local.key, self._local.server = key, server
        if server is None:
            return None
        try:
            return server.start(command)
        except OSError:
            self._local.key = None  # it is gone: the next phase gets another one
            return None

    def close(self) -> None:
        """Ends all servers."""
        for server in list(self._servers):
            self._end(server)

    def _serve(
        self, command: Command, launch: Launch, cancel: threading.Event
    ) -> ForkServer | None:
        home = ClaimedDirectory(self._scratch, f"{launch.run_id}.home.")
        variables = {**command.environment, "HOME": str(home.path), "TMPDIR": str(home.path)}
        for name in ("INPUT_DIR", "OUTPUT_DIR", *launch.variables):
            variables.pop(name, None)
        variables.update(launch.environment.variables)
        try:
            server = ForkServer(
                command.python,
                launch.scenarios / "forks" / "server.py",
                launch.environment.preload,
                variables,
                cancel,
            )
        except OSError:
            home.remove()
            return None  # what cannot be preloaded is imported by each phase itself
        with self._lock:
            self._servers[server] = home
        return server

    def _end(self, server: ForkServer | None) -> None:
        with self._lock:
            home = None if server is None else self._servers.pop(server, None)
        if server is not None and home is not None:
            server.close()
            home.remove()


def _key(launch: Launch) -> Hashable:
    """What a server is made for: two flavors may share an interpreter, and import other modules."""
    environment = launch.environment
    return (
        environment.flavor,
        environment.handle,
        environment.preload,
        tuple(sorted(environment.variables.items())),
        launch.scenarios,
        launch.threads,
    )
