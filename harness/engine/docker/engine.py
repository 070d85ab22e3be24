"""The engine of the product: every phase in a fresh, hardened container, run by image ID."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from docker import APIClient

from harness.base.error import EngineError, UsageError
from harness.base.stop import hurry_of
from harness.catalog.flavors import Flavor, Image
from harness.engine import handle, log_file, resources, serving
from harness.engine.docker import base_image, container, image, network, shared_files
from harness.engine.docker.container_run import Disposal, Run, transient, went_away
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.docker.ledger import NETWORK, Ledger
from harness.engine.handle import Handle, Limits
from harness.engine.leftovers import Removal
from harness.engine.log_file import LogFile
from harness.engine.protocol import Environment, Exit, Launch
from harness.engine.resources import Resources
from harness.measure.target import Target
from harness.record.models import Outcome

# Of the checkout that this file belongs to.
_CACHE = Path(__file__).resolve().parents[3] / ".cache"
_AGAIN_S = 0.5  # between two questions to a daemon that is away


class DockerEngine:
    """Runs phases in containers.

    Args:
        capability: compute capability of the GPU, which decides between a flavor's images.
        grace_s: seconds between TERM and KILL.
        log_limit: bytes of each log that are kept.
        directories: where the files of phases will be: the daemon has to see the same.
        cache: where is written down what is made on the daemon.
        back_s: seconds to wait for a daemon that went away.
    """

    name = "docker"

    def __init__(
        self,
        capability: tuple[int, int] | None = None,
        grace_s: float = 5.0,
        log_limit: int = log_file.LIMIT,
        directories: Sequence[Path] = (),
        cache: Path = _CACHE,
        back_s: float = 60.0,
    ) -> None:
        self.capability = capability
        self._directories = list(directories)
        self._grace_s = grace_s
        self._log_limit = log_limit
        self._back_s = back_s
        self._daemon = Daemon()
        self._ledger = Ledger(self._daemon, cache)
        self._disposal = Disposal(self._daemon, self._ledger)

    def check_settings(self) -> None:
        """Raises UsageError when DOCKER_HOST or the Docker context can name no daemon at all."""
        self._daemon.check_settings()

    def preflight(self, gpu: str | None) -> None:
        """Raises UsageError when no usable daemon answers, or it cannot hand out the GPU.

        Whether it sees this machine's files is asked once.
        """
        self._daemon.check()
        try:
            self._ledger.check()
            if gpu is not None:
                self._daemon.check_gpu(gpu)
            if self._directories:
                shared_files.check(self._daemon, self._ledger, self._directories)
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
        built = image.prepare(
            self._daemon, self._ledger, flavor, accelerator, self.capability, progress, cancel
        )
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
            ended = self._execute(launch, started, cancel)
        except (*ERRORS, EngineError) as problem:
            reason = str(problem) if isinstance(problem, EngineError) else self._explain(problem)
            if cancel.is_set():
                return Exit(Outcome.INTERRUPTED, None, f"the run was stopped: {reason}")
            return Exit(Outcome.ENGINE_ERROR, None, reason, transient=transient(problem))
        # A daemon that is stopped ends its containers before it goes.
        if ended.outcome is Outcome.KILLED and not self._daemon.answers():
            reason = f"the Docker daemon went away and took it along: {ended.reason}"
            return replace(ended, outcome=Outcome.ENGINE_ERROR, reason=reason, transient=True)
        return ended

    def _explain(self, problem: BaseException) -> str:
        reason = self._daemon.explain(problem)
        return f"the Docker daemon went away: {reason}" if went_away(problem) else reason

    def _execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        """As `execute`.

        Raises:
            ERRORS: the daemon is at fault.
            EngineError: it does not answer when the phase is to be stopped.
        """
        client = self._daemon.client()
        if launch.client is None:
            with self._running(client, launch, cancel) as run:
                limits = Limits(launch.deadline_s, cancel)
                started(run.target)
                return handle.run(run, limits)
        served = launch.serving(container.HOST, container.PORT)
        with (
            self._disposal.of(
                partial(network.make, client, self._ledger, launch),
                partial(self._ledger.remove, client, kind=NETWORK),
                cancel,
            ) as private,
            self._running(client, served, cancel, private) as server,
        ):
            limits = Limits(launch.deadline_s, cancel)
            started(server.target)

            def start_client(port: int) -> AbstractContextManager[Handle]:
                url = f"http://{container.SERVER}:{port}"
                return self._running(client, launch.of_client(url), cancel, private)

            return serving.run(server, server.stdout.path, start_client, limits)

    def recover(
        self, launch: Launch, progress: Callable[[str], None], cancel: threading.Event
    ) -> bool:
        """Waits for the daemon; removes the launch's containers and networks."""
        late = time.monotonic() + self._back_s
        told = False
        while not self._daemon.answers():
            if not told:
                waited = f"waiting for it ({self._back_s:g} s)"
                progress(f"{launch.key}: the Docker daemon is away; {waited}")
                told = True
            if time.monotonic() > late or cancel.wait(_AGAIN_S):
                return False
        for key in (launch.key, f"{launch.key}.client"):
            self._disposal.remove_own({f"{LABEL}.run": launch.run_id, f"{LABEL}.key": key})
        return not cancel.is_set()

    @contextlib.contextmanager
    def _running(
        self,
        client: APIClient,
        launch: Launch,
        cancel: threading.Event,
        private: str | None = None,
    ) -> Iterator[Run]:
        """A started container, which is removed afterwards.

        Args:
            private: ID of its network, or None for none.

        Raises:
            ERRORS: the daemon could not create or start it.
        """
        with (
            self._disposal.of(
                lambda: self._create(client, launch, private=private),
                partial(self._ledger.remove, client),
                cancel,
            ) as name,
            LogFile(launch.logs / "stdout.log", self._log_limit) as stdout,
            LogFile(launch.logs / "stderr.log", self._log_limit) as stderr,
        ):
            run = Run(
                self._daemon,
                name,
                launch,
                stdout,
                stderr,
                self._grace_s,
                self._log_limit,
                hurry_of(cancel),
            )
            run.start()
            yield run

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
            self._ledger.remove(client, name)

    def reap(self) -> list[str]:
        """Removes what drivers of this checkout have left that are dead; a line for each thing."""
        with contextlib.suppress(*ERRORS):
            return self._ledger.reap(self._daemon.client()).removed
        return []

    def clean(self) -> Removal:
        """Removes what this checkout has made on the daemon and no living run needs.

        Raises:
            EngineError: the daemon does not answer.
        """
        try:
            return self._ledger.clean(self._daemon.client())
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
        return self._ledger.container(client, configuration)

    def base_state(self, flavor: Flavor, entry: Image) -> tuple[bool, str]:
        """Whether a base image is here, and a line about it and its pin; asks no registry.

        Raises:
            UsageError: a file of pins is broken.
        """
        reference, variable = image.base_reference(flavor, entry)
        docker = flavor.recipes
        here, pin = base_image.state(self._daemon.client(), reference, docker)
        where = "here" if here else f"is pulled when it is needed, {variable} names another"
        return here, f"{reference}: {where}; {pin}"

    def close(self) -> None:
        """Removes what could not be removed at once; the images are needed no more."""
        self._disposal.close()
        self._ledger.release()

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
