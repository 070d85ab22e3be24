"""The engine of the product: every phase in a fresh, hardened container, run by image ID."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from harness import image, owner
from harness.catalog import Flavor
from harness.engine import Environment, Exit, Launch, Target, container, log_file
from harness.engine.daemon import (
    DEADLINE_LABEL,
    ERRORS,
    LABEL,
    NAMESPACE_LABEL,
    OWNER_LABEL,
    Daemon,
    pid_namespace,
)
from harness.engine.log_file import STDERR, STDOUT, LogFile
from harness.error import EngineError, UsageError
from harness.record import Outcome

_TICK_S = 0.1  # how late a cancellation or the deadline may be seen; the end is seen at once
_KILLED_S = 30.0  # a process in an uninterruptible call of a driver takes its time
_DRAIN_S = 5.0
# A driver that cannot be looked up (another machine, another pid namespace) is taken for dead
# when its container is this long over the deadline at which a living one would have stopped it.
_OVERDUE_S = 120.0


class DockerEngine:
    """Runs phases in containers.

    Args:
        capability: compute capability of the GPU, which decides between a flavor's images.
        grace_s: seconds between TERM and KILL.
        log_limit: bytes of each log that are kept.
    """

    name = "docker"

    def __init__(
        self,
        capability: tuple[int, int] | None = None,
        grace_s: float = 5.0,
        log_limit: int = log_file.LIMIT,
    ) -> None:
        self.capability = capability
        self._grace_s = grace_s
        self._log_limit = log_limit
        self._daemon = Daemon()

    def preflight(self, gpu: str | None) -> None:
        """Raises UsageError when no daemon answers, or it cannot hand out the GPU."""
        self._daemon.check()
        try:
            if gpu is not None:
                self._daemon.check_gpu(gpu)
        except ERRORS as problem:
            raise UsageError(f"Docker: {self._daemon.explain(problem)}") from problem

    def prepare(
        self, flavor: Flavor, accelerator: str, progress: Callable[[str], None]
    ) -> Environment:
        """Builds the flavor's image unless there is one of the same inputs."""
        built = image.build(self._daemon, flavor, accelerator, self.capability, progress)
        return Environment(flavor.id, built.id, built.provenance)

    def execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        """Runs a phase in a container of its own, and removes the container."""
        try:
            client = self._daemon.client()
            name = self._create(client, launch)
            try:
                run = _Run(client, name, launch, self._grace_s, self._log_limit)
                return run.execute(started, cancel)
            finally:
                _remove(client, name)
        except ERRORS as problem:
            return Exit(Outcome.ENGINE_ERROR, None, self._daemon.explain(problem))

    def shell(self, launch: Launch) -> int:
        """Opens a shell in a container like the phase's; its end removes the container.

        Raises:
            UsageError: there is no docker command to connect a terminal with.
            EngineError: the daemon could not make the container.
        """
        command = shutil.which("docker")
        if command is None:
            raise UsageError("a shell needs the docker command (docker-cli), which is not on PATH")
        terminal = sys.stdin.isatty()
        try:
            client = self._daemon.client()
            name = self._create(client, launch, terminal)
        except ERRORS as problem:
            raise EngineError(f"shell: {self._daemon.explain(problem)}") from problem
        try:
            print("the phase: " + shlex.join(container.phase_command(launch)), flush=True)
            arguments = [command, "--host", self._daemon.address, "start", "-ai", name]
            if not self._daemon.address.startswith("unix://"):
                del arguments[1:3]  # TLS and ssh: the command reads the same settings itself
            return subprocess.run(arguments).returncode
        finally:
            _remove(client, name)

    def reap(self) -> list[str]:
        """Removes containers whose driver is dead; a line for each."""
        removed = []
        with contextlib.suppress(*ERRORS):
            client = self._daemon.client()
            for entry in client.containers(all=True, filters={"label": LABEL}):
                labels = entry.get("Labels") or {}
                if _abandoned(labels, self._daemon.local) and _remove(client, entry["Id"]):
                    removed.append(
                        f"container {entry['Id'][:12]} ({labels.get(f'{LABEL}.key', '?')} of run"
                        f" {labels.get(f'{LABEL}.run', '?')}) of a driver that is gone"
                    )
        return removed

    def clean(self) -> list[str]:
        """Removes every container and image of ours; a line for each.

        Raises:
            EngineError: the daemon does not answer.
        """
        try:
            client = self._daemon.client()
            removed = [
                f"container {entry['Id'][:12]}"
                for entry in client.containers(all=True, filters={"label": LABEL})
                if _remove(client, entry["Id"])
            ]
            return removed + image.remove_all(client)
        except ERRORS as problem:
            raise EngineError(f"clean: {self._daemon.explain(problem)}") from problem

    def _create(self, client: APIClient, launch: Launch, terminal: bool | None = None) -> str:
        """Creates the container, which never pulls an image, and returns its ID."""
        container.lend(launch, self._daemon)
        configuration = container.configuration(client, self._daemon, launch, terminal)
        answer = client.create_container_from_config(configuration)  # type: ignore[no-untyped-call]
        return str(answer["Id"])

    def has_image(self, reference: str) -> bool:
        """Whether the daemon has an image, so that nothing would be pulled for it."""
        try:
            self._daemon.client().inspect_image(reference)  # type: ignore[no-untyped-call]
        except ERRORS:
            return False
        return True

    def close(self) -> None:
        """Nothing runs between phases."""

    def facts(self) -> dict[str, str]:
        """Version, address and drivers of the daemon."""
        facts = {"engine": "docker"}
        with contextlib.suppress(*ERRORS):
            daemon, info = self._daemon, self._daemon.info
            facts |= {
                "docker address": daemon.address,
                "docker version": str(daemon.version.get("Version")),
                "docker api": daemon.api_version,
                "docker storage driver": str(info.get("Driver")),
                "docker cgroup": f"{info.get('CgroupVersion', '1')} {info.get('CgroupDriver')}",
                "docker operating system": str(info.get("OperatingSystem")),
            }
        return facts


class _Run:
    """One container from its start to its end."""

    def __init__(
        self, client: APIClient, name: str, launch: Launch, grace_s: float, log_limit: int
    ) -> None:
        self._client = client
        self._name = name
        self._launch = launch
        self._grace_s = grace_s
        self._log_limit = log_limit
        self._ended = threading.Event()
        self._broken: BaseException | None = None
        self._oom_kills = 0

    def execute(self, started: Callable[[Target], None], cancel: threading.Event) -> Exit:
        if cancel.is_set():
            return Exit(Outcome.INTERRUPTED, None, "the run was stopped")
        logs = self._launch.logs
        with (
            LogFile(logs / "stdout.log", self._log_limit) as stdout,
            LogFile(logs / "stderr.log", self._log_limit) as stderr,
        ):
            # Attached before the start: not a byte is missed, and none has to wait in a buffer.
            reader = self._attach({STDOUT: stdout, STDERR: stderr})
            began = time.time()
            self._client.start(self._name)
            deadline = time.monotonic() + self._launch.deadline_s
            threading.Thread(target=self._wait, name="container", daemon=True).start()
            target = container.ContainerTarget(
                self._name, lambda: self._client.inspect_container(self._name)
            )
            started(target)
            stopped = self._watch(target, deadline, cancel)
            reader.join(_DRAIN_S)
            if self._broken is not None:
                raise self._broken
            again = (
                log_file.replace(stdout, self._logs(stdout=True), self._log_limit),
                log_file.replace(stderr, self._logs(stderr=True), self._log_limit),
            )
        facts = self._client.inspect_container(self._name)
        state = facts["State"]
        details = _details(facts, again)
        if stopped is not None:
            outcome, reason = stopped
            return Exit(outcome, None, reason, details)
        if state.get("Running"):
            return Exit(Outcome.ENGINE_ERROR, None, "the container cannot be killed", details)
        return container.read_exit(state, self._out_of_memory(state, began), details)

    def _attach(self, logs: dict[int, LogFile]) -> threading.Thread:
        """Follows the streams in a thread; a quiet phase must not hit a read timeout."""
        params = {"stdout": 1, "stderr": 1, "stream": 1}
        raw = self._client.attach_socket(self._name, params)
        socket = getattr(raw, "_sock", raw)
        if hasattr(socket, "settimeout"):
            socket.settimeout(None)
        stream = io.BufferedReader(raw, 2**16)

        def follow() -> None:
            # What breaks here is made good when the logs are read again.
            with contextlib.suppress(*ERRORS, ValueError):
                log_file.demultiplex(stream, logs)
            with contextlib.suppress(*ERRORS, ValueError):
                stream.close()

        thread = threading.Thread(target=follow, name="logs", daemon=True)
        thread.start()
        return thread

    def _wait(self) -> None:
        try:
            self._client.wait(self._name, timeout=None)  # a number would be the read timeout
        except ERRORS as problem:
            self._broken = problem
        self._ended.set()

    def _watch(
        self, target: container.ContainerTarget, deadline: float, cancel: threading.Event
    ) -> tuple[Outcome, str] | None:
        """Waits for the end; returns why the harness stopped the container, or None."""
        while not self._ended.wait(min(_TICK_S, max(deadline - time.monotonic(), 0))):
            if cancel.is_set():
                self._stop()
                return Outcome.INTERRUPTED, "the run was stopped"
            if time.monotonic() >= deadline:
                self._stop()
                return Outcome.TIMED_OUT, f"still running after {self._launch.deadline_s:g} s"
            if self._launch.memory is not None:
                # The cgroup is gone when the container has ended.
                self._oom_kills = max(self._oom_kills, target.oom_kills())
        return None

    def _stop(self) -> None:
        for signal, patience in (("SIGTERM", self._grace_s), ("SIGKILL", _KILLED_S)):
            # It may end at any moment, and then there is nothing to signal.
            with contextlib.suppress(APIError):
                self._client.kill(self._name, signal)
            if self._ended.wait(patience):
                return

    def _logs(self, stdout: bool = False, stderr: bool = False) -> Any:
        # A stream follows by default, which would wait for a container that cannot be killed.
        return self._client.logs(
            self._name, stdout=stdout, stderr=stderr, stream=True, follow=False
        )

    def _out_of_memory(self, state: Mapping[str, Any], began: float) -> bool:
        """Whether the kernel killed a process for the memory limit.

        `OOMKilled` is set by an event that may come after the end (nomad issue 13119), so the
        event itself is asked for where there is a reason to.
        """
        if state.get("OOMKilled") or self._oom_kills:
            return True
        if self._launch.memory is None or state.get("ExitCode") != 137:
            return False
        filters = {"container": self._name, "event": "oom"}
        events = self._client.events(
            since=int(began) - 1, until=int(time.time()) + 1, filters=filters
        )
        return any(True for _ in events)


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


def _remove(client: APIClient, name: str) -> bool:
    """Removes a container with its volumes; False where it could not be."""
    try:
        client.remove_container(name, v=True, force=True)
    except NotFound:
        return True
    except ERRORS:
        return False  # `reap` finds it by its labels
    return True


def _abandoned(labels: Mapping[str, str], local: bool) -> bool:
    """Whether the driver that these labels name is dead; False where that is not known."""
    driver = owner.parse(labels.get(OWNER_LABEL, ""))
    if driver is None:
        return False
    same_boot = driver.boot == owner.current().boot
    if same_boot and labels.get(NAMESPACE_LABEL, "") == pid_namespace():
        return not driver.alive()
    if not same_boot and local:
        return True  # the daemon is this machine's, which has been restarted since
    with contextlib.suppress(ValueError):
        return time.time() > float(labels.get(DEADLINE_LABEL, "")) + _OVERDUE_S
    return False
