"""One container from its start to its end: its logs, its stop, how it ended, and its removal."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
import urllib3
from docker.errors import APIError

from harness.base.error import EngineError
from harness.engine.docker import container, logs
from harness.engine.docker.daemon import ERRORS, Daemon
from harness.engine.docker.ledger import Ledger
from harness.engine.docker.logs import STDERR, STDOUT
from harness.engine.log_file import LogFile
from harness.engine.protocol import Exit, Launch
from harness.record.models import Outcome

_KILLED_S = 30.0  # a process in an uninterruptible call of a driver takes its time
_DRAIN_S = 5.0
_LOOK_S = 0.1


class Run:
    """One container from its start to its end, as `handle.Handle`.

    Each thread that has to do with it takes a client of its own of the daemon.
    """

    def __init__(
        self,
        daemon: Daemon,
        name: str,
        launch: Launch,
        stdout: LogFile,
        stderr: LogFile,
        grace_s: float,
        log_limit: int,
        hurry: threading.Event,
    ) -> None:
        self.stdout, self.stderr = stdout, stderr
        self.target = container.ContainerTarget(
            name, lambda: daemon.client().inspect_container(name)
        )
        self._daemon = daemon
        self._name = name
        self._launch = launch
        self._grace_s = grace_s
        self._log_limit = log_limit
        self._hurry = hurry
        self._reader: threading.Thread | None = None
        self._began = 0.0
        self._ended = threading.Event()
        self._broken: BaseException | None = None
        self._oom_kills = 0
        self._stopping = False

    def start(self) -> None:
        """Starts it, and what follows its logs and waits for its end."""
        # Attached before the start: not a byte is missed, and none has to wait in a buffer.
        self._reader = self._attach({STDOUT: self.stdout, STDERR: self.stderr})
        self._began = time.time()
        self._daemon.client().start(self._name)
        threading.Thread(target=self._wait, name="container", daemon=True).start()

    def ended(self, seconds: float) -> bool:
        """Whether it has ended, or can be watched no longer, which `finish` raises."""
        if self._ended.wait(seconds):
            return True
        if self._launch.memory is not None:
            # The cgroup is gone when the container has ended.
            self._oom_kills = max(self._oom_kills, self.target.oom_kills())
        return False

    def finish(self) -> Exit:
        """Reads its logs again, and how it ended.

        Raises:
            ERRORS: the daemon does not say.
        """
        if self._reader is not None:
            self._reader.join(_DRAIN_S)
        if self._broken is not None:
            raise self._broken
        again = (
            logs.replace(self.stdout, self._logs(stdout=True), self._log_limit),
            logs.replace(self.stderr, self._logs(stderr=True), self._log_limit),
        )
        facts = self._daemon.client().inspect_container(self._name)
        state = facts["State"]
        details = _details(facts, again)
        problem = next((log.problem for log in again if log.problem is not None), None)
        if problem is not None:
            reason = f"its log could not be written: {problem.strerror}"
            return Exit(Outcome.ENGINE_ERROR, None, reason, details)
        if state.get("Running"):
            return Exit(Outcome.ENGINE_ERROR, None, "the container cannot be killed", details)
        return container.read_exit(state, self._out_of_memory(state), details, self._asked(state))

    def _attach(self, files: dict[int, LogFile]) -> threading.Thread:
        """Follows the streams in a thread; a quiet phase must not hit a read timeout."""
        params = {"stdout": 1, "stderr": 1, "stream": 1}
        raw = self._daemon.client().attach_socket(self._name, params)
        socket = getattr(raw, "_sock", raw)
        if hasattr(socket, "settimeout"):
            socket.settimeout(None)
        stream = logs.buffered(raw)

        def follow() -> None:
            # What breaks here is made good when the logs are read again.
            with contextlib.suppress(*ERRORS, ValueError):
                logs.demultiplex(stream, files)
            with contextlib.suppress(*ERRORS, ValueError):
                stream.close()

        thread = threading.Thread(target=follow, name="logs", daemon=True)
        thread.start()
        return thread

    def _wait(self) -> None:
        try:
            self._daemon.client().wait(
                self._name, timeout=None
            )  # a number would be the read timeout
        except ERRORS as problem:
            self._broken = problem
        self._ended.set()

    def stop(self) -> bool:
        """TERM, and KILL after the grace period or in a hurry; whether TERM was enough.

        Raises:
            EngineError: the daemon does not answer.
        """
        self._stopping = True
        if not self._daemon.answers():
            raise EngineError(f"{self._daemon.address} does not answer, its container may go on")
        for signal, patience in (("SIGTERM", self._grace_s), ("SIGKILL", _KILLED_S)):
            # It may end at any moment, and then there is nothing to signal.
            with contextlib.suppress(APIError):
                self._daemon.client().kill(self._name, signal)
            late = time.monotonic() + patience
            while (left := late - time.monotonic()) > 0:
                if self._ended.wait(min(left, _LOOK_S)):
                    return signal == "SIGTERM"
                if signal == "SIGTERM" and self._hurry.is_set():
                    break
        return False

    def _logs(self, stdout: bool = False, stderr: bool = False) -> Any:
        # A stream follows by default, which would wait for a container that cannot be killed.
        return self._daemon.client().logs(
            self._name, stdout=stdout, stderr=stderr, stream=True, follow=False
        )

    def _out_of_memory(self, state: Mapping[str, Any]) -> bool:
        """Whether the kernel killed a process for the memory limit.

        `OOMKilled` is set by an event that may come after the end (nomad issue 13119), so the
        event itself is asked for where there is a reason to.
        """
        if state.get("OOMKilled") or self._oom_kills:
            return True
        if self._launch.memory is None or state.get("ExitCode") != 137:
            return False
        return self._happened("oom", time.time() + 1)

    def _asked(self, state: Mapping[str, Any]) -> bool:
        """Whether somebody else has had the daemon send it a signal."""
        if self._stopping or not state.get("ExitCode"):
            return False
        # Of another machine the clock may be another; this one's daemon has told it before the end.
        return self._happened("kill", time.time() + (0 if self._daemon.local else 1))

    def _happened(self, event: str, until: float) -> bool:
        """Whether the daemon tells of such an event of the container; waits until that time."""
        filters = {"container": self._name, "event": event}
        # The daemon takes fractions of a second too, and would wait for the end of a whole one.
        events = self._daemon.client().events(
            since=int(self._began) - 1,
            until=f"{until:.9f}",  # type: ignore[call-overload]
            filters=filters,
        )
        return any(True for _ in events)


class Disposal:
    """Removes the containers and networks of phases."""

    def __init__(self, daemon: Daemon, ledger: Ledger) -> None:
        self._daemon = daemon
        self._ledger = ledger
        self._left = False  # one may be

    @contextlib.contextmanager
    def of(
        self, make: Callable[[], str], remove: Callable[[str], bool], cancel: threading.Event
    ) -> Iterator[str]:
        """Makes one, gives its ID, and removes it afterwards.

        A run that is stopped does not wait for a daemon that does not answer.

        Raises:
            ERRORS: the daemon could not make it.
        """
        try:
            name = make()
        except BaseException:
            self._left = True  # it may have been made
            raise
        try:
            yield name
        finally:
            silent = cancel.is_set() and not self._daemon.answers()
            if silent or not remove(name):
                self._left = True

    def remove_own(self, labels: Mapping[str, str]) -> None:
        """Removes what this process has made with these labels, as far as the daemon does."""
        with contextlib.suppress(*ERRORS):
            self._ledger.remove_own(self._daemon.client(), labels)

    def close(self) -> None:
        """Removes what could not be removed at its time."""
        if self._left and self._daemon.answers():
            self.remove_own({})
            self._left = False


def went_away(problem: BaseException) -> bool:
    """Whether an error says that the daemon is not there, and nothing of what was asked of it.

    An answer that is cut has as many names as there are places to cut it.
    """
    if isinstance(problem, (APIError, requests.Timeout)):
        return False
    if getattr(problem, "filename", None) is not None:
        return False  # a file of ours
    broken = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError)
    return isinstance(problem, broken)


def transient(problem: BaseException) -> bool:
    """Whether what the daemon could not do may well be done the next time.

    It answers with a status of 500 and more where the fault is its own, or that of containerd, runc
    or the container toolkit below it, and with another one where that of the request is, as of an
    image that is not there or a program that is not in it (moby, api/server/httpstatus and
    daemon/errors.go). A daemon that is silent, or that has gone, may come back.
    """
    if isinstance(problem, APIError):
        return bool(problem.is_server_error())
    return getattr(problem, "filename", None) is None  # else it is about a file of ours


def _details(facts: Mapping[str, Any], logs: tuple[LogFile, LogFile]) -> dict[str, Any]:
    host = facts["HostConfig"]
    state = {
        key: facts["State"].get(key)
        for key in ("Status", "ExitCode", "OOMKilled", "Error", "StartedAt", "FinishedAt")
    }
    limits = ("Memory", "MemorySwap", "PidsLimit", "ShmSize", "DeviceRequests", "SecurityOpt")
    return {
        "container": facts["Id"],
        "image": facts["Image"],
        "user": facts["Config"].get("User"),
        "state": state,
        "limits": {key: host.get(key) for key in limits},
        "logs": {log.path.name: {"bytes": log.total, "left out": log.dropped} for log in logs},
    }
