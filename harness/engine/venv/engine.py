"""The embedded default: one `uv` environment a flavor, one fresh process a phase.

There is no isolation here beyond a scrubbed environment, a fresh directory and a session of its
own; the `docker` engine is the product. Without a GPU a phase is forked from a process that has
imported the framework and done nothing else: half of a short phase is that import. And what a
framework compiles in one phase of a run it need not compile in the next. What leftovers of a killed
driver are is known by the claims on its scratch directories.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from harness.base.claim import Claim, ClaimedDirectory
from harness.base.error import EngineError
from harness.base.stop import hurry_of
from harness.base.text import one_line
from harness.catalog.entry import CUDA_PLACES
from harness.catalog.flavors import Flavor
from harness.engine import handle, resources, serving
from harness.engine.handle import Handle, Limits
from harness.engine.leftovers import Removal
from harness.engine.protocol import Environment, Exit, Launch
from harness.engine.resources import Resources
from harness.engine.venv import environment, interpreter, overlay, process, scratch, uv
from harness.engine.venv.fork_server import ForkServers
from harness.engine.venv.process import Command, Process, Running
from harness.engine.venv.process_tree import ProcessTree
from harness.engine.venv.streams import Streams
from harness.measure.target import Target
from harness.record.models import Outcome

_HOST = "127.0.0.1"  # where a server listens
# The host's proxies and indexes are for builds; a phase gets nothing of the host's environment
# but what a dynamic linker and a locale need, and on a GPU what its flavor names.
_LIBRARIES = "LD_LIBRARY_PATH"
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", _LIBRARIES)
_PATH = "/usr/local/bin:/usr/bin:/bin"
# glibc: keep freed memory instead of handing each large tensor's pages back to the kernel and
# faulting them in again, which is a tenth of a training step. 32 MiB is the most it takes.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**30)}


class VenvEngine:
    """Runs phases as processes of environments that `uv` made from the flavors' lock files."""

    name = "venv"

    def __init__(self, cache: Path, warm: bool = True) -> None:
        """Keeps environments and scratch directories below `cache`.

        Args:
            warm: fork phases from a process that has imported the flavor's framework.
        """
        self._environments = cache / "environments"
        self._scratch = cache / "scratch"
        self._used: list[Claim] = []
        self._warm = warm
        self._servers = ForkServers(self._scratch)
        self._compilations = cache / "compiled"
        self._compiled: dict[str, ClaimedDirectory] = {}  # by run
        self._lock = threading.Lock()

    def preflight(self, gpu: str | None) -> None:
        """A process sees the GPU that the host sees: nothing more to check."""

    def resources(self) -> Resources:
        """What this process may use, and with it every phase."""
        return resources.of_host()

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        """Makes the flavor's environment unless one of the same lock file is there."""
        notes: tuple[str, ...] = ()
        named = interpreter.stand_in(flavor.id)
        if named is not None:
            progress(f"{flavor.id}: {named.path} stands in for the environment ({named.setting})")
            executable = named.path
            provenance = {
                "python": named.version,
                "python found by": named.setting,
                "requirements": f"not used: {named.setting} stands in for the environment",
                "packages": " ".join(named.packages),
            }
        else:
            made = overlay.make(self._environments, flavor, accelerator, progress, cancel)
            self._used += made.claims
            executable, provenance, notes = made.python, made.provenance, made.notes
        inherited = flavor.inherited(os.environ) if accelerator == "gpu" else {}
        return Environment(
            flavor=flavor.id,
            handle=str(executable),
            preload=flavor.preload,
            variables=flavor.variables,
            inherited=inherited,
            provenance={**provenance, **_told(inherited, accelerator)},
            notes=notes,
        )

    def execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        """Runs a phase, and its client, each as a process group; stops both at the deadline."""
        served = launch.serving(_HOST, 0)
        try:
            with self._running(served, cancel) as phase:
                limits = Limits(launch.deadline_s, cancel)
                started(ProcessTree(phase.pid))
                if launch.client is None:
                    return handle.run(phase, limits)

                def start_client(port: int) -> AbstractContextManager[Handle]:
                    return self._running(launch.of_client(f"http://{_HOST}:{port}"), cancel)

                return serving.run(phase, phase.command.stdout, start_client, limits)
        except EngineError as problem:
            return Exit(Outcome.ENGINE_ERROR, None, str(problem), transient=True)

    @contextlib.contextmanager
    def _running(self, launch: Launch, cancel: threading.Event) -> Iterator[Running]:
        """A started script in a scratch directory of its own; nothing of it is left afterwards.

        Raises:
            EngineError: it could not be started.
        """
        with self._place(launch) as place, contextlib.ExitStack() as stack:
            command = self._command(launch, place)
            try:
                streams = stack.enter_context(Streams(place, (command.stdout, command.stderr)))
                stdout, stderr = streams.pipes
                piped = replace(command, stdout=stdout, stderr=stderr)
                started = self._start(piped, launch, cancel)
            except OSError as problem:
                raise EngineError(f"could not start the phase: {problem}") from problem
            stack.callback(_end_lost, started, place)
            stack.enter_context(contextlib.closing(started))
            streams.follow()
            yield Running(started, command, streams, hurry_of(cancel))

    @contextlib.contextmanager
    def _place(self, launch: Launch, kind: str = "") -> Iterator[Path]:
        """A scratch directory with HOME and TMPDIR in it, which is removed afterwards."""
        made = ClaimedDirectory(self._scratch, f"{launch.run_id}.{launch.key}.{kind}")
        try:
            (made.path / "home").mkdir()
            (made.path / "tmp").mkdir()
            yield made.path
        finally:
            made.remove()

    def close(self) -> None:
        """Ends the fork servers, and the claims on environments; what was compiled is gone."""
        self._servers.close()
        while self._compiled:
            self._compiled.popitem()[1].remove()
        while self._used:
            self._used.pop().release()

    def recover(
        self, launch: Launch, progress: Callable[[str], None], cancel: threading.Event
    ) -> bool:
        """At once: this engine is this process, and nothing outlives a phase."""
        return not cancel.is_set()

    def shell(self, launch: Launch) -> int:
        """Opens a shell with the phase's environment, in a scratch directory.

        For a phase that serves: with the server's; the client's command is printed beside it.
        """
        with self._place(launch, "shell.") as place:
            command = self._command(launch.serving(_HOST, 0), place)
            variables = {
                **command.environment,
                "TERM": os.environ.get("TERM", "dumb"),
                "PS1": f"{launch.environment.flavor}$ ",
            }
            print("the phase: " + shlex.join(command.arguments), flush=True)
            if launch.client is not None:
                client = replace(command, script=launch.scenarios / launch.client.script)
                url = f"SERVER_URL=http://{_HOST}:PORT"  # the marker `ready` says the port
                print(f"its client: {url} " + shlex.join(client.arguments), flush=True)
            return subprocess.run(["/bin/sh", "-i"], cwd=place, env=variables).returncode

    def reap(self) -> list[str]:
        """Ends what dead drivers left running; removes their scratch and half-made environments."""
        ended = [*scratch.reap(self._scratch), *scratch.reap(self._compilations)]
        return [*ended, *environment.reap(self._environments)]

    def clean(self) -> Removal:
        """Removes what dead drivers left, and the environments that no run uses."""
        found = Removal(removed=self.reap())
        return found + environment.remove_all(self._environments)

    def facts(self) -> dict[str, str]:
        """The version of uv, and what this platform cannot do."""
        answer = uv.run(["--version"], threading.Event())
        facts = {"engine": "venv", "uv": answer.strip().removeprefix("uv ")}
        if sys.platform != "linux":
            facts["limits"] = (
                "a process that leaves its phase's process group outlives the phase: only Linux"
                " gives orphans to another process than init"
            )
        return facts

    def _start(self, command: Command, launch: Launch, cancel: threading.Event) -> Process:
        """Starts a phase: forked where the flavor names modules to preload, else from nothing.

        A GPU's phases start from nothing, as they do in a container, and so do those that have to.
        """
        forked = None
        may_fork = self._warm and not launch.cold and launch.gpu is None
        if may_fork and launch.environment.preload:
            forked = self._servers.start(command, launch, cancel)
        return process.start(command) if forked is None else forked

    def _command(self, launch: Launch, place: Path) -> Command:
        """What to start for a launch in its scratch directory.

        Raises:
            OSError: there is no place for what is compiled.
        """
        # On a GPU compilers try out which code is the fastest, and what two executions of one
        # phase may differ in would be gone.
        compiled = None if launch.gpu is not None else self._compiled_in(launch.run_id)
        return Command(
            python=launch.environment.handle,
            script=launch.scenarios / launch.script,
            environment=_variables(launch, place, compiled),
            directory=place,
            stdout=launch.logs / "stdout.log",
            stderr=launch.logs / "stderr.log",
        )

    def _compiled_in(self, run_id: str) -> Path:
        """Where the phases of a run share what their frameworks compile."""
        with self._lock:
            if run_id not in self._compiled:
                self._compiled[run_id] = ClaimedDirectory(self._compilations, f"{run_id}.")
            return self._compiled[run_id].path


def _end_lost(started: Process, place: Path) -> None:
    """Ends what a process has left that lost its supervisor."""
    if started.unsupervised:
        scratch.end_processes(place)


def _told(inherited: Mapping[str, str], accelerator: str) -> dict[str, str]:
    """What phases on a GPU have of the host, as facts: numbers follow from it."""
    libraries = os.environ.get(_LIBRARIES) if accelerator == "gpu" else None
    passed = {**inherited, **({_LIBRARIES: libraries} if libraries else {})}
    return {f"{name} of the host": one_line(value, 32_768) for name, value in passed.items()}


def _search_path(binaries: Path, inherited: Mapping[str, str]) -> str:
    """Where programs are found: the environment's, the system's, and then those of CUDA.

    XLA looks for `ptxas` on PATH (xla/stream_executor/cuda: FindCudaExecutable). What names no
    directory of its own is left out: it would be looked for where the phase stands.
    """
    places = [inherited[name] for name in CUDA_PLACES if name in inherited]
    tools = [f"{place}/bin" for place in places if place.startswith("/") and ":" not in place]
    return ":".join((str(binaries), _PATH, *dict.fromkeys(tools)))


def _variables(launch: Launch, scratch: Path, compiled: Path | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    inherited = launch.environment.inherited if launch.gpu is not None else {}
    binaries = Path(launch.environment.handle).parent
    contract = launch.contract(
        home=str(scratch / "home"),
        temporary=str(scratch / "tmp"),
        scenarios=str(launch.scenarios),
        data=str(launch.data),
        input_directory=str(launch.input),
        output=str(launch.output),
        lms=str(launch.lms_path),
        provider="" if launch.provider is None else str(launch.provider.file),
    )
    return {
        **kept,
        **inherited,
        **_MALLOC,
        "PATH": _search_path(binaries, inherited),
        "CUDA_VISIBLE_DEVICES": launch.gpu or "",
        **({} if compiled is None else {"COMPILATION_CACHE": str(compiled)}),
        **contract,
    }
