"""The engine of the product: every phase in a fresh, hardened container, run by image ID."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from docker import APIClient
from docker.errors import NotFound

from harness.base.error import EngineError, UsageError
from harness.catalog.flavors import Flavor, Image
from harness.engine import handle, log_file, owner, resources, serving
from harness.engine.docker import base_image, container, image, network, shared_files
from harness.engine.docker.container_run import Run
from harness.engine.docker.daemon import (
    DEADLINE_LABEL,
    ERRORS,
    LABEL,
    NAMESPACE_LABEL,
    OWNER_LABEL,
    Daemon,
    pid_namespace,
)
from harness.engine.handle import Handle, Limits
from harness.engine.log_file import LogFile
from harness.engine.protocol import Environment, Exit, Launch
from harness.engine.resources import Resources
from harness.measure.target import Target
from harness.record.models import Outcome

# A driver that cannot be looked up (another machine, another pid namespace) is taken for dead
# when its container is this long over the deadline at which a living one would have stopped it.
_OVERDUE_S = 120.0


class DockerEngine:
    """Runs phases in containers.

    Args:
        capability: compute capability of the GPU, which decides between a flavor's images.
        grace_s: seconds between TERM and KILL.
        log_limit: bytes of each log that are kept.
        directories: where the files of phases will be: the daemon has to see the same.
    """

    name = "docker"

    def __init__(
        self,
        capability: tuple[int, int] | None = None,
        grace_s: float = 5.0,
        log_limit: int = log_file.LIMIT,
        directories: Sequence[Path] = (),
    ) -> None:
        self.capability = capability
        self._directories = list(directories)
        self._grace_s = grace_s
        self._log_limit = log_limit
        self._daemon = Daemon()

    def preflight(self, gpu: str | None) -> None:
        """Raises UsageError when no usable daemon answers, or it cannot hand out the GPU.

        Whether it sees this machine's files is asked once.
        """
        self._daemon.check()
        try:
            if gpu is not None:
                self._daemon.check_gpu(gpu)
            if self._directories:
                shared_files.check(self._daemon, self._directories)
                self._directories.clear()
        except ERRORS as problem:
            raise UsageError(f"Docker: {self._daemon.explain(problem)}") from problem

    def resources(self) -> Resources:
        """What the daemon's machine has, and of a local one no more than this process may use.

        Raises:
            EngineError: the daemon does not tell.
        """
        try:
            daemon = self._daemon.resources
        except (*ERRORS, KeyError, TypeError, ValueError) as problem:
            raise EngineError(f"Docker: {self._daemon.explain(problem)}") from problem
        if not self._daemon.local:
            return daemon
        host = resources.of_host()
        return Resources(
            cores=min(daemon.cores, host.cores),
            memory_bytes=min(daemon.memory_bytes, host.memory_bytes),
        )

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        """Builds the flavor's image unless there is one of the same inputs."""
        built = image.prepare(self._daemon, flavor, accelerator, self.capability, progress, cancel)
        return Environment(
            flavor.id,
            built.id,
            built.provenance,
            preload=flavor.preload,
            variables=flavor.variables,
            notes=built.notes,
        )

    def execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        """Runs a phase in a container of its own, which is removed afterwards.

        A phase that serves and its client share a private network; any other phase has none.
        """
        if cancel.is_set():
            return Exit(Outcome.INTERRUPTED, None, "the run was stopped")
        try:
            client = self._daemon.client()
            if launch.client is None:
                with self._running(client, launch) as run:
                    limits = Limits(launch.deadline_s, cancel)
                    started(run.target)
                    return handle.run(run, limits)
            served = launch.serving(container.HOST, container.PORT)
            with (
                network.private(client, launch) as private,
                self._running(client, served, private) as server,
            ):
                limits = Limits(launch.deadline_s, cancel)
                started(server.target)

                def start_client(port: int) -> AbstractContextManager[Handle]:
                    url = f"http://{container.SERVER}:{port}"
                    return self._running(client, launch.of_client(url), private)

                return serving.run(server, server.stdout.path, start_client, limits)
        except ERRORS as problem:
            return Exit(Outcome.ENGINE_ERROR, None, self._daemon.explain(problem))

    @contextlib.contextmanager
    def _running(
        self, client: APIClient, launch: Launch, private: str | None = None
    ) -> Iterator[Run]:
        """A started container, which is removed afterwards.

        Args:
            private: ID of its network, or None for none.

        Raises:
            ERRORS: the daemon could not create or start it.
        """
        name = self._create(client, launch, private=private)
        try:
            with (
                LogFile(launch.logs / "stdout.log", self._log_limit) as stdout,
                LogFile(launch.logs / "stderr.log", self._log_limit) as stderr,
            ):
                run = Run(
                    self._daemon, name, launch, stdout, stderr, self._grace_s, self._log_limit
                )
                run.start()
                yield run
        finally:
            _remove(client, name)

    def shell(self, launch: Launch) -> int:
        """Opens a shell in a container like the phase's; its end removes the container.

        For a phase that serves it is like the server's, less the private network: its client can
        be run beside the server in the shell, and its command is printed.

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
            served = launch.serving(container.HOST, container.PORT)
            name = self._create(client, served, terminal)
        except ERRORS as problem:
            raise EngineError(f"shell: {self._daemon.explain(problem)}") from problem
        try:
            print("the phase: " + shlex.join(container.phase_command(launch)), flush=True)
            if launch.client is not None:
                beside = shlex.join(container.phase_command(launch, launch.client.script))
                url = f"SERVER_URL=http://127.0.0.1:{container.PORT}"
                print(f"its client: {url} {beside}", flush=True)
            arguments = [command, "--host", self._daemon.address, "start", "-ai", name]
            if not self._daemon.address.startswith("unix://"):
                del arguments[1:3]  # TLS and ssh: the command reads the same settings itself
            return subprocess.run(arguments).returncode
        finally:
            _remove(client, name)

    def reap(self) -> list[str]:
        """Removes containers and networks whose driver is dead; a line for each."""
        removed = []
        with contextlib.suppress(*ERRORS):
            client = self._daemon.client()
            for entry in client.containers(all=True, filters={"label": LABEL}):
                labels = entry.get("Labels") or {}
                if _abandoned(labels, self._daemon.local) and _remove(client, entry["Id"]):
                    removed.append(_leftover("container", entry["Id"], labels))
            for entry in client.networks(filters={"label": LABEL}):
                labels = entry.get("Labels") or {}
                if _abandoned(labels, self._daemon.local) and network.remove(client, entry["Id"]):
                    removed.append(_leftover("network", entry["Id"], labels))
        return removed

    def clean(self) -> list[str]:
        """Removes every container, network and image of ours; a line for each.

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
            removed += [
                f"network {entry['Id'][:12]}"
                for entry in client.networks(filters={"label": LABEL})
                if network.remove(client, entry["Id"])
            ]
            return removed + image.remove_all(client)
        except ERRORS as problem:
            raise EngineError(f"clean: {self._daemon.explain(problem)}") from problem

    def _create(
        self,
        client: APIClient,
        launch: Launch,
        terminal: bool | None = None,
        private: str | None = None,
    ) -> str:
        """Creates the container, which never pulls an image, and returns its ID."""
        container.give_output(launch, self._daemon)
        configuration = container.configuration(client, self._daemon, launch, terminal, private)
        answer = client.create_container_from_config(configuration)  # type: ignore[no-untyped-call]
        return str(answer["Id"])

    def base_state(self, flavor: Flavor, entry: Image) -> tuple[bool, str]:
        """Whether a base image is here, and a line about it and its pin; asks no registry.

        Raises:
            UsageError: a file of pins is broken.
        """
        reference, variable = image.base_reference(flavor, entry)
        docker = flavor.directory.parent.parent
        here, pin = base_image.state(self._daemon.client(), reference, docker)
        where = "here" if here else f"is pulled when it is needed, {variable} names another"
        return here, f"{reference}: {where}; {pin}"

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


def _leftover(kind: str, name: str, labels: Mapping[str, str]) -> str:
    return (
        f"{kind} {name[:12]} ({labels.get(f'{LABEL}.key', '?')} of run"
        f" {labels.get(f'{LABEL}.run', '?')}) of a driver that is gone"
    )


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
