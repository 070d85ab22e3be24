"""Engines run one phase in a fresh place; `docker` is the product, `venv` the embedded default."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from harness.catalog.flavors import Flavor
from harness.catalog.providers import Provider
from harness.engine.resources import Resources
from harness.measure.target import Target
from harness.record.models import Outcome


@dataclass(frozen=True)
class Environment:
    """A flavor made ready by an engine.

    Attributes:
        handle: what the engine runs: an image id, or the path of an interpreter.
        provenance: flat facts for the record (image id, digests, Python, lock file digest, ...).
        preload: modules whose import an engine may do once for many phases.
        variables: the flavor's own environment variables, which that import may need.
        inherited: variables of the host that the flavor's phases on a GPU get.
        notes: what the reader of the reports must know of it.
    """

    flavor: str
    handle: str
    provenance: Mapping[str, str] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    inherited: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Client:
    """The script that runs beside a phase that serves.

    Attributes:
        script: path below `scenarios`.
        output: host path of its own artifact directory; exists and is empty.
        logs: host directory for its own stdout.log, stderr.log.
    """

    script: str
    output: Path
    logs: Path


@dataclass(frozen=True)
class Launch:
    """Everything an engine needs to run one phase.

    Attributes:
        key: the phase's key; safe as a file name.
        run_id: id of the run, for labels.
        script: path below `scenarios`, e.g. `families/keras_saveload/mnist_cnn_keras_trainsave.py`.
        variables: environment variables of the contract (LMS_PROVIDER, LMS_PARAMS, ...), without
            the directories, which the engine sets to where it put them: DATA_DIR, INPUT_DIR (only
            when there is an input), OUTPUT_DIR, LMS_PATH (only when there is one).
        scenarios: host path of the `scenarios` folder; visible read-only, and the first entry
            of PYTHONPATH.
        data: host path of the data, read-only.
        input: host path of the earlier phase's artifacts, read-only, or None.
        output: host path of this phase's artifact directory; exists and is empty.
        logs: host directory for stdout.log, stderr.log.
        lms_path: host path of a foreign LMS package's parent directory, read-only, or None.
        provider: what swaps where that is none of the checkout's own: its file is visible,
            read-only, and LMS_PROVIDER has it; else None.
        gpu: UUID of the GPU, or None for none.
        threads: CPU threads that the phase may use (OMP_NUM_THREADS, TF_NUM_*), or None.
        deadline_s: seconds after which the phase is stopped (TERM, then KILL).
        memory: limit in bytes, or None; of the phase and of its client, each.
        client: the script that the phase serves, or None for a phase that runs alone.
        cold: the phase has to import the framework itself, which reads some of its variables then.
    """

    key: str
    run_id: str
    environment: Environment
    script: str
    variables: Mapping[str, str]
    scenarios: Path
    data: Path
    input: Path | None
    output: Path
    logs: Path
    lms_path: Path | None = None
    provider: Provider | None = None
    gpu: str | None = None
    threads: int | None = None
    deadline_s: float = 600.0
    memory: int | None = None
    client: Client | None = None
    cold: bool = False

    def serving(self, host: str, port: int) -> Launch:
        """This launch with the address to listen at, where the phase serves; port 0 means any."""
        if self.client is None:
            return self
        address = {"SERVER_HOST": host, "SERVER_PORT": str(port)}
        return replace(self, variables={**self.variables, **address})

    def of_client(self, url: str) -> Launch:
        """The launch of the client: the same place, less the GPU and LMS, and its own directories.

        Args:
            url: where the server listens, as the client sees it.
        """
        assert self.client is not None
        changes = {"LMS_PROVIDER": "off", "ACCELERATOR": "virtual", "SERVER_URL": url}
        return replace(
            self,
            key=f"{self.key}.client",
            script=self.client.script,
            variables={**self.variables, **changes},
            output=self.client.output,
            logs=self.client.logs,
            provider=None,
            gpu=None,
            client=None,
            cold=True,  # it imports no framework: there is nothing to fork it from
        )

    def contract(
        self,
        *,
        home: str,
        temporary: str,
        scenarios: str,
        data: str,
        input_directory: str,
        output: str,
        lms: str,
        provider: str,
    ) -> dict[str, str]:
        """The variables of `docs/contract.md`, with the directories as the phase sees them.

        Args:
            input_directory, lms: left out where the phase has no input, or there is no foreign
                package.
            provider: path of the file of a provider that is none of the checkout's.
        """
        variables = {
            **self.variables,
            "HOME": home,
            "TMPDIR": temporary,
            "PYTHONPATH": scenarios,
            "PYTHONHASHSEED": "0",
            "DATA_DIR": data,
            "OUTPUT_DIR": output,
        }
        if self.input is not None:
            variables["INPUT_DIR"] = input_directory
        if self.lms_path is not None:
            variables["LMS_PATH"] = lms
        if self.provider is not None:
            variables["LMS_PROVIDER"] = f"{provider}:{self.provider.class_name}"
        if self.threads is not None:
            for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
                variables[name] = str(self.threads)
        return variables


@dataclass(frozen=True)
class Exit:
    """How a phase ended, as far as the engine can tell.

    Attributes:
        transient: nothing of the phase brought it about, and in a fresh place it may be gone: a
            daemon that went away, a container that could not start.
    """

    outcome: Outcome
    code: int | None
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    transient: bool = False


class Engine(Protocol):
    """Prepares flavors and runs phases."""

    name: str

    def preflight(self, gpu: str | None) -> None:
        """Raises `UsageError` with one line when phases cannot run here (on that GPU)."""

    def resources(self) -> Resources:
        """Cores and memory that all phases of a run together may use.

        Raises:
            EngineError: the engine does not tell.
        """

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        """Builds what is missing for a flavor; `accelerator` is "gpu" or "virtual".

        Raises:
            UnavailableError: this machine lacks something the flavor needs.
            EngineError: a build broke.
            StoppedError: `cancel` was set; nothing goes on, and nothing half made is used.
        """

    def execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        """Runs a phase to its end; logs are complete on disk when this returns.

        A phase with a client is a server: its client is started when it says `ready`, and it is
        stopped when the client has ended. The deadline covers both.

        Calls `started` once when the process runs; the target is the phase, not its client. When
        `cancel` is set, stops the phase and returns `Outcome.INTERRUPTED`. Never raises for what a
        phase does; an infrastructure problem is `Outcome.ENGINE_ERROR` with its reason. Several
        threads may call it at once.
        """

    def recover(
        self, launch: Launch, progress: Callable[[str], None], cancel: threading.Event
    ) -> bool:
        """Waits, within a bound, until phases can be run again after a transient `Exit`.

        What the launch has left is removed. False where the engine does not come back, or `cancel`
        is set.
        """

    def shell(self, launch: Launch) -> int:
        """Opens an interactive shell where the phase would run; returns its exit code.

        Of a phase that serves it is the server's place; how its client is run there is printed.
        """

    def reap(self) -> list[str]:
        """Removes what a killed driver left behind; one line for each thing removed."""

    def close(self) -> None:
        """Ends what the engine keeps running between phases."""

    def facts(self) -> dict[str, str]:
        """Version and address of the engine, for the record."""
