"""The engine of the product: every phase in a fresh, hardened container, run by image ID."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import NotFound

from harness.base.claim import Claim
from harness.base.error import EngineError, UsageError
from harness.catalog.flavors import Flavor, Image
from harness.engine import handle, owner, resources, serving
from harness.engine.docker import base_image, container, image, logs, network, shared_files
from harness.engine.docker.container_run import Run
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.docker.logs import LogFile
from harness.engine.handle import Handle, Limits
from harness.engine.leftovers import Removal
from harness.engine.owner import NAME_LABEL
from harness.engine.protocol import Environment, Exit, Launch
from harness.engine.resources import Resources
from harness.measure.target import Target
from harness.record.models import Outcome


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
        log_limit: int = logs.LIMIT,
        directories: Sequence[Path] = (),
    ) -> None:
        self.capability = capability
        self._directories = list(directories)
        self._grace_s = grace_s
        self._log_limit = log_limit
        self._daemon = Daemon()
        self._used: list[Claim] = []

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
        root = flavor.directory.parent.parent.parent
        with image.claimed(root, flavor.id, progress, cancel) as claim:
            built = image.prepare(
                self._daemon, flavor, accelerator, self.capability, progress, cancel
            )
        self._used.append(claim)
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
        """Removes what dead drivers made on the daemon; a line for each."""
        removed: list[str] = []
        with contextlib.suppress(*ERRORS):
            removed += self._remove_abandoned().removed
            removed += shared_files.reap(self._daemon.client(), self._daemon.local)
        return removed

    def clean(self, root: Path) -> Removal:
        """Removes what dead drivers made on the daemon, and the images that no run uses.

        Args:
            root: the checkout.

        Raises:
            EngineError: the daemon does not answer.
        """
        try:
            found = self._remove_abandoned()
            client = self._daemon.client()
            found.removed += shared_files.reap(client, self._daemon.local)
            return found + image.remove_all(client, image.directory(root))
        except ERRORS as problem:
            raise EngineError(f"clean: {self._daemon.explain(problem)}") from problem

    def _remove_abandoned(self) -> Removal:
        """Removes containers and networks whose driver is dead.

        Raises:
            ERRORS: the daemon does not answer.
        """
        client, found = self._daemon.client(), Removal()
        for kind, entries, remove in (
            ("container", client.containers(all=True, filters={"label": LABEL}), _remove),
            ("network", client.networks(filters={"label": LABEL}), network.remove),
        ):
            for entry in entries:
                labels, names = entry.get("Labels") or {}, _names(entry)
                if not owner.owned(labels, names):
                    continue  # of an image that was built on one of ours
                what = _told(kind, entry["Id"], labels)
                if not owner.abandoned(labels, self._daemon.local):
                    found.used.append(what)
                elif remove(client, entry["Id"]):
                    found.removed.append(f"{what} of a driver that is gone")
                else:
                    found.failed.append(f"{what}: the daemon does not remove it")
        return found

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
        name = configuration["Labels"][NAME_LABEL]
        answer = client.create_container_from_config(configuration, name)  # type: ignore[no-untyped-call]
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
        """Ends the claims on images; nothing runs between phases."""
        while self._used:
            self._used.pop().release()

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


def _told(kind: str, name: str, labels: Mapping[str, str]) -> str:
    key, run = labels.get(f"{LABEL}.key"), labels.get(f"{LABEL}.run")
    what = f"{key} of run {run}" if key and run else str(labels.get(LABEL))
    return f"{kind} {name[:12]} ({what})"


def _names(entry: Mapping[str, Any]) -> list[str]:
    """Names of a container, or of a network."""
    return [*(entry.get("Names") or []), str(entry.get("Name", ""))]


def _remove(client: APIClient, name: str) -> bool:
    """Removes a container with its volumes; False where it could not be."""
    try:
        client.remove_container(name, v=True, force=True)
    except NotFound:
        return True
    except ERRORS:
        return False  # `reap` finds it by its labels
    return True
