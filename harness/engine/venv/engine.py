"""The embedded default: one `uv` environment a flavor, one fresh process a phase.

There is no isolation here beyond a scrubbed environment, a fresh directory and a session of its
own; the `docker` engine is the product. Without a GPU a phase is forked from a process that has
imported the framework and done nothing else: half of a short phase is that import. What leftovers
of a killed driver are is known from one small file for each running process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from uv import find_uv_bin

from harness.engine.venv import interpreter
from harness.engine import indexes, owner, resources
from harness.catalog.entry import Accelerator
from harness.catalog.flavors import Flavor
from harness.engine.protocol import Environment, Exit, Launch
from harness.engine.resources import Resources
from harness.measure.target import Target
from harness.engine import handle, serving
from harness.engine.venv import process
from harness.engine.handle import Limits, Handle
from harness.engine.venv.process import Command, ForkServer, Process, Running
from harness.base.error import EngineError
from harness.record.models import Outcome
from harness.engine.venv.process_tree import ProcessTree

_HOST = "127.0.0.1"  # where a server listens
# The host's proxies and indexes are for builds; a phase gets nothing of the host's environment
# but what a dynamic linker and a locale need.
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "CUDA_HOME")
# glibc: keep freed memory instead of handing each large tensor's pages back to the kernel and
# faulting them in again, which is a tenth of a training step. 32 MiB is the most it takes.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**30)}


class VenvEngine:
    """Runs phases as processes of environments that `uv` made from the flavors' lock files."""

    name = "venv"

    def __init__(self, cache: Path, warm: bool = True) -> None:
        """Keeps environments and process files below `cache`.

        Args:
            warm: fork phases from a process that has imported the flavor's framework.
        """
        self._environments = cache / "environments"
        self._processes = cache / "processes"
        self._scratch = cache / "scratch"
        self._warm = warm
        self._local = threading.local()
        self._servers: list[ForkServer] = []
        self._lock = threading.Lock()

    def preflight(self, gpu: str | None) -> None:
        """A process sees the GPU that the host sees: nothing more to check."""

    def resources(self) -> Resources:
        """What this process may use: phases are its children."""
        return resources.of_host()

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        """Makes the flavor's environment unless one of the same lock file is there."""
        given = interpreter.stand_in(flavor.id)
        if given is not None:
            progress(f"{flavor.id}: {given.path} stands in for the environment ({given.setting})")
            executable = given.path
            provenance = {
                "python": given.version,
                "python found by": given.setting,
                "requirements": f"not used: {given.setting} stands in for the environment",
                "packages": " ".join(given.packages),
            }
        else:
            executable, provenance = self._made(flavor, accelerator, progress)
        return Environment(
            flavor=flavor.id,
            handle=str(executable),
            preload=flavor.preload,
            variables=flavor.variables,
            provenance=provenance,
        )

    def _made(
        self, flavor: Flavor, accelerator: str, progress: Callable[[str], None]
    ) -> tuple[Path, dict[str, str]]:
        """The interpreter of the flavor's own environment, and its provenance."""
        key: Accelerator = "gpu" if accelerator == "gpu" else "virtual"
        name = flavor.requirements[key]
        requirements = flavor.directory / name
        lock = hashlib.sha256(requirements.read_bytes()).hexdigest()
        python = interpreter.find(flavor.python)
        inputs = hashlib.sha256(f"{lock} {python.path} {python.version}".encode()).hexdigest()[:12]
        directory = self._environments / f"{flavor.id}-{accelerator}-{inputs}"
        facts = directory / "ready.json"
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _locked(directory.with_suffix(".lock")):
            if not facts.is_file():
                progress(f"{flavor.id}: environment with Python {python.version}")
                indexes = flavor.indexes.get(key, ())
                packages = _build(directory, python.path, requirements, indexes)
                facts.write_text(json.dumps({"packages": packages}), encoding="utf-8")
            packages = json.loads(facts.read_text(encoding="utf-8"))["packages"]
        provenance = {
            "python": python.version,
            "python found by": python.source,
            "requirements": f"{name} sha256:{lock}",
            "packages": " ".join(packages),
        }
        return directory / "bin" / "python", provenance

    def execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        """Runs a phase, and its client, each as a process group; stops both at the deadline."""
        served = launch.serving(_HOST, 0)
        try:
            with self._running(served) as phase:
                limits = Limits(launch.deadline_s, cancel)
                started(ProcessTree(phase.pid))
                if launch.client is None:
                    return handle.run(phase, limits)

                def start_client(port: int) -> AbstractContextManager[Handle]:
                    # It imports no framework: there is nothing to fork it from.
                    client = launch.of_client(f"http://{_HOST}:{port}")
                    return self._running(client, cold=True)

                return serving.run(phase, phase.command.stdout, start_client, limits)
        except EngineError as problem:
            return Exit(Outcome.ENGINE_ERROR, None, str(problem))

    @contextlib.contextmanager
    def _running(self, launch: Launch, cold: bool = False) -> Iterator[Running]:
        """A started script in a scratch directory of its own; nothing of it is left afterwards.

        Raises:
            EngineError: it could not be started.
        """
        scratch = self._scratch / f"{launch.run_id}.{launch.key}"
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            (scratch / "home").mkdir(parents=True)
            (scratch / "tmp").mkdir()
            command = _command(launch, scratch)
            try:
                started = process.start(command) if cold else self._start(command, launch)
            except OSError as problem:
                raise EngineError(f"could not start the phase: {problem}") from problem
            registration = self._register(started.pid)
            try:
                with Running(started, command) as running:
                    yield running
            finally:
                process.stop_group(started.pid, signal.SIGKILL)
                started.wait()
                registration.unlink(missing_ok=True)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def close(self) -> None:
        """Ends the fork servers."""
        with self._lock:
            while self._servers:
                self._servers.pop().close()

    def shell(self, launch: Launch) -> int:
        """Opens a shell with the phase's environment, in a scratch directory.

        For a phase that serves: with the server's; the client's command is printed beside it.
        """
        scratch = self._scratch / f"{launch.run_id}.{launch.key}.shell"
        (scratch / "home").mkdir(parents=True, exist_ok=True)
        (scratch / "tmp").mkdir(exist_ok=True)
        command = _command(launch.serving(_HOST, 0), scratch)
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
        try:
            return subprocess.run(["/bin/sh", "-i"], cwd=scratch, env=variables).returncode
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def reap(self) -> list[str]:
        """Kills process groups whose driver is dead."""
        removed = []
        for path in self._processes.glob("*.json"):
            try:
                entry = json.loads(path.read_text(encoding="utf-8"))
                driver, leader = owner.parse(entry["driver"]), owner.parse(entry["process"])
            except (OSError, ValueError, KeyError, TypeError):
                path.unlink(missing_ok=True)
                continue
            if driver is not None and driver.alive():
                continue
            if leader is not None and leader.alive():
                process.stop_group(leader.pid, signal.SIGKILL)
                removed.append(f"process {leader.pid} of a driver that is gone")
            path.unlink(missing_ok=True)
        return removed

    def clean(self) -> list[str]:
        """Removes every environment; returns one line for each."""
        removed = [
            f"environment {path.name}" for path in self._environments.glob("*") if path.is_dir()
        ]
        shutil.rmtree(self._environments, ignore_errors=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        return removed

    def facts(self) -> dict[str, str]:
        """The version of uv."""
        answer = subprocess.run([find_uv_bin(), "--version"], capture_output=True, text=True)
        return {"engine": "venv", "uv": answer.stdout.strip().removeprefix("uv ")}

    def _start(self, command: Command, launch: Launch) -> Process:
        """Starts a phase: forked where the flavor names modules to preload, else from nothing.

        A GPU's phases start from nothing, as they do in a container.
        """
        if not self._warm or not launch.environment.preload or launch.gpu is not None:
            return process.start(command)
        key = (launch.environment.handle, launch.threads)
        if getattr(self._local, "key", None) != key:
            # One server a thread, and each thread goes flavor by flavor: the last one's is done.
            if getattr(self._local, "server", None) is not None:
                with self._lock:
                    self._servers.remove(self._local.server)
                self._local.server.close()
            self._local.key, self._local.server = key, self._serve(command, launch)
        server: ForkServer | None = self._local.server
        if server is not None:
            try:
                return server.start(command)
            except OSError:
                self._local.key = None  # it is gone: the next phase gets another one
        return process.start(command)

    def _serve(self, command: Command, launch: Launch) -> ForkServer | None:
        home = self._scratch / f"{launch.run_id}.home"
        home.mkdir(parents=True, exist_ok=True)
        variables = {**command.environment, "HOME": str(home), "TMPDIR": str(home)}
        for name in ("INPUT_DIR", "OUTPUT_DIR", *launch.variables):
            variables.pop(name, None)
        variables.update(launch.environment.variables)
        try:
            server = ForkServer(
                command.python,
                launch.scenarios / "common" / "forkserver.py",
                launch.environment.preload,
                variables,
            )
        except OSError:
            return None  # what cannot be preloaded is imported by each phase itself
        with self._lock:
            self._servers.append(server)
        return server

    def _register(self, pid: int) -> Path:
        self._processes.mkdir(parents=True, exist_ok=True)
        path = self._processes / f"{pid}.json"
        process = owner.of(pid)
        entry = {
            "driver": owner.current().text(),
            "process": process.text() if process else "",
        }
        path.write_text(json.dumps(entry), encoding="utf-8")
        return path


def _command(launch: Launch, scratch: Path) -> Command:
    return Command(
        python=launch.environment.handle,
        script=launch.scenarios / launch.script,
        environment=_variables(launch, scratch),
        directory=scratch,
        stdout=launch.logs / "stdout.log",
        stderr=launch.logs / "stderr.log",
    )


def _variables(launch: Launch, scratch: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment = Path(launch.environment.handle).parent
    contract = launch.contract(
        home=str(scratch / "home"),
        temporary=str(scratch / "tmp"),
        scenarios=str(launch.scenarios),
        data=str(launch.data),
        input_directory=str(launch.input),
        output=str(launch.output),
        lms=str(launch.lms_path),
    )
    return {
        **kept,
        **_MALLOC,
        "PATH": f"{environment}:/usr/local/bin:/usr/bin:/bin",
        "CUDA_VISIBLE_DEVICES": launch.gpu or "",
        **contract,
    }


def _build(directory: Path, python: Path, requirements: Path, indexes: Sequence[str]) -> list[str]:
    """Makes an environment from a hash-locked file; returns the packages as `pip freeze` would.

    Args:
        indexes: where packages are looked for that this machine's own indexes do not have.
    """
    shutil.rmtree(directory, ignore_errors=True)
    uv = find_uv_bin()
    executable = str(directory / "bin" / "python")
    _uv([uv, "venv", "--quiet", "--no-project", "--python", str(python), str(directory)])
    sync = [
        *(uv, "pip", "sync", "--quiet", "--python", executable),
        *("--require-hashes", "--compile-bytecode", str(requirements)),
    ]
    try:
        _uv(sync)
    except EngineError:
        # A mirror may have everything, and let nothing else through: so it is asked alone first.
        if not indexes:
            raise
        more = [f"--extra-index-url={index}" for index in indexes]
        _uv([*sync, *more, "--index-strategy=unsafe-best-match"])
    return _uv([uv, "pip", "freeze", "--quiet", "--python", executable]).split()


def _uv(command: list[str]) -> str:
    variables = {**os.environ, **indexes.uv_variables()}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=variables)
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        step = " ".join(command[1:3])
        raise EngineError(f"uv {step} failed: {_plain(' '.join(said))[-400:] or 'no message'}")
    return done.stdout


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One driver at a time builds an environment; a lock of a dead process is free."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
