"""One execution of one phase: from its task to its record, with the sampler beside it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from harness.base import crash
from harness.base.error import StoppedError
from harness.engine.protocol import Client, Engine, Environment, Exit, Launch
from harness.logs import parser
from harness.measure import lease
from harness.measure.gpu import Device, Gpu, GpuBusyError, NvmlError, wait_until_free
from harness.measure.nvml import Nvml
from harness.measure.sampler import Sampler
from harness.measure.samples import Samples
from harness.measure.target import Target
from harness.plan.plan import Task
from harness.record import times
from harness.record.facts import LogFacts
from harness.record.models import Attempt, CaseRecord, Outcome, PhaseRecord
from harness.run import artifacts
from harness.run.attempts import attempt, blame
from harness.run.attempts.attempt import Execution, phase_record
from harness.run.settings import Settings

# A GPU is clear when no more is in use than a display takes.
_CLEAR_BYTES = 2**30
_CLEAR_SHARE = 20  # or this part of its memory


class Observer(Protocol):
    """Whoever watches a run: the terminal."""

    def message(self, text: str) -> None:
        """Something that the user should know now."""

    def begin(self, total: int | None) -> None:
        """The phases start; there are `total` of them, None where that is not known beforehand."""

    def phase_started(self, task: Task, logs: Path) -> None:
        """A phase runs; its logs grow in `logs`."""

    def phase_finished(self, record: PhaseRecord) -> None:
        """A phase ended."""

    def case_judged(self, record: CaseRecord) -> None:
        """All phases of a case have ended and its checks are known."""


@dataclass(frozen=True)
class Executor:
    """Runs tasks of one run.

    Attributes:
        directory: the run's directory; phases have theirs below it.
        threads: CPU threads for a phase, or None for no limit.
        memory: bytes that a phase may use, its client as many.
        begun: keys of the tasks whose processes were started.
    """

    engine: Engine
    settings: Settings
    gpu: Gpu | None
    run_id: str
    directory: Path
    observer: Observer
    cancel: threading.Event
    threads: int | None
    memory: int
    begun: set[str] = field(default_factory=set)

    def execute(
        self, task: Task, environment: Environment, earlier: Sequence[Attempt] = ()
    ) -> Execution:
        """Runs one phase to its end. Called in worker threads: it never raises.

        Args:
            earlier: its attempts before this one.
        """
        record = phase_record(task, earlier, self.gpu)
        directory = self.directory / "phases" / task.key
        begin, ended, samples, facts = utc(), None, None, LogFacts()
        again = gone = None
        clock = time.monotonic()
        try:
            copy = self.lay_out(task, directory, len(earlier))
            launch = self.launch(task, environment, directory, copy)
            with lease.hold(launch.gpu, self.cancel, self.observer.message):
                begin, clock = utc(), time.monotonic()
                ended, samples = self.measure([task], launch)
            duration = time.monotonic() - clock
            ended = blame.without_room(blame.said_by_itself(ended, launch), launch.output)
            if launch.input is not None:
                artifacts.remove(launch.input)
            if launch.client is not None and not self.settings.keep:
                artifacts.remove(launch.client.output)  # no phase reads it
            facts = facts_of(launch)
            times.keep(facts.times, directory)
            ended = artifacts.settled(ended, launch)
            ended, again, gone = self.verdict(ended, facts, launch)
            keep_details(directory, ended)
        except StoppedError:  # while it waited for the GPU
            duration = time.monotonic() - clock
            ended = Exit(Outcome.INTERRUPTED, None, "the run was stopped")
        except Exception as problem:  # a worker's exception would be lost with its thread
            duration = time.monotonic() - clock
            ended = blame.exit_of(problem)
            again, gone = self.raised(problem)
            with contextlib.suppress(OSError):
                keep_details(directory, ended)
        record = record.model_copy(
            update={
                "outcome": ended.outcome,
                "exit_code": ended.code,
                "reason": ended.reason,
                "started": begin,
                "duration_s": round(duration, 3),
                "facts": facts.untimed,
                "samples": None if samples is None else samples.to_dict(),
                "details": plain(ended.details),
            }
        )
        return Execution(record, again, gone)

    def verdict(
        self, ended: Exit, facts: LogFacts, launch: Launch
    ) -> tuple[Exit, str | None, str | None]:
        """The end of an execution, why it does not count, and why its GPU is gone.

        Nothing that ended while its GPU was lost says anything of what is tested, whatever it was.
        """
        gone = None if self.gpu is None else lost(self.gpu)
        if ended.outcome is Outcome.INTERRUPTED:
            return ended, None, gone
        again = gone or blame.again(ended, facts, self.gpu is not None)
        if ended.transient and not self.engine.recover(launch, self.observer.message, self.cancel):
            again = None
            if self.cancel.is_set():
                reason = f"the run was stopped: {ended.reason}"
                ended = replace(ended, outcome=Outcome.INTERRUPTED, reason=reason)
        return ended, again, gone

    def raised(self, problem: Exception) -> tuple[str | None, str | None]:
        """Why an execution around which this was raised does not count, and its GPU is gone."""
        gone = None
        if self.gpu is not None:
            # Who holds the memory now holds it for the next phase as well.
            busy = str(problem) if isinstance(problem, GpuBusyError) else None
            gone = busy or lost(self.gpu)
        if crash.is_bug(problem):
            return None, gone
        return gone or blame.again(blame.exit_of(problem), LogFacts(), False), gone

    def measure(self, tasks: Sequence[Task], launch: Launch) -> tuple[Exit, Samples | None]:
        """The engine's part, with NVML open and the sampler beside it.

        Args:
            tasks: what the launch runs.
        """
        if self.cancel.is_set():  # while it waited for the GPU
            return Exit(Outcome.INTERRUPTED, None, "the run was stopped"), None
        samplers: list[Sampler] = []
        with contextlib.ExitStack() as stack:
            device = None
            if launch.gpu is not None:
                device = stack.enter_context(Nvml()).open(launch.gpu)
                self._wait_until_clear(device)

            def begin(target: Target) -> None:
                self.begun.update(task.key for task in tasks)
                samplers.append(Sampler(device, target, launch.logs / "samples.csv"))
                samplers[0].start()

            for task in tasks:
                self.observer.phase_started(task, launch.logs)
            try:
                ended = self.engine.execute(launch, begin, self.cancel)
            finally:
                samples = samplers[0].stop() if samplers else None
        return ended, samples

    def _wait_until_clear(self, device: Device) -> None:
        """Waits for the memory of the phase before: the driver frees it after its exit.

        Raises:
            GpuBusyError: it never was, by the settings' patience.
            StoppedError: the run was stopped before.
        """
        total = self.gpu.total_bytes if self.gpu is not None else None
        wait_until_free(
            device,
            max(_CLEAR_BYTES, (total or 0) // _CLEAR_SHARE),
            self.settings.gpu_wait_s,
            sleep=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        if self.cancel.wait(seconds):
            raise StoppedError("the run was stopped")

    def lay_out(
        self, task: Task, directory: Path, earlier: int, copy: Path | None = None
    ) -> Path | None:
        """Lays out the phase's directory: empty artifacts, and its own copy of its input.

        A client has a directory below it with its own artifacts and logs.

        Args:
            earlier: how many attempts there were; what the last has left is put aside.
            copy: where the input goes, by default into the directory.

        Returns:
            The copy of the input, or None where the task has none.
        """
        if earlier:
            attempt.put_aside(directory, earlier)
        (directory / "artifacts").mkdir(parents=True)
        if task.client is not None:
            (client_directory(directory) / "artifacts").mkdir(parents=True)
        if task.input is None:
            return None
        copy = copy or directory / "input"
        artifacts.copy_read_only(self.directory / "phases" / task.input / "artifacts", copy)
        return copy

    def launch(
        self, task: Task, environment: Environment, directory: Path, input_directory: Path | None
    ) -> Launch:
        """What the engine is told about a task of this run."""
        return launch_of(
            task,
            environment,
            self.settings,
            self.run_id,
            self.gpu,
            input_directory,
            directory,
            self.threads,
            self.memory,
        )


def keep_details(directory: Path, ended: Exit) -> None:
    """Writes what the engine knows of a phase into its directory.

    Raises:
        OSError: it cannot be written.
    """
    content = json.dumps(plain(ended.details), indent=1)
    (directory / "details.json").write_text(content, encoding="utf-8")


def launch_of(
    task: Task,
    environment: Environment,
    settings: Settings,
    run_id: str,
    gpu: Gpu | None,
    input_directory: Path | None,
    directory: Path,
    threads: int | None,
    memory: int,
) -> Launch:
    """What the engine is told about a task: the contract of a scenario in `docs/contract.md`.

    Args:
        input_directory: the copy of the earlier phase's artifacts, or None.
        directory: the phase's directory, with its empty `artifacts`.
    """
    client, beside = None, client_directory(directory)
    provider = settings.providers.get(task.provider)  # whose file the engine puts somewhere
    if task.client is not None:
        client = Client(task.client, output=beside / "artifacts", logs=beside)
    return Launch(
        key=task.key,
        run_id=run_id,
        environment=environment,
        script=task.script,
        variables={
            **({"LMS_PROVIDER": task.provider} if provider is None else {}),
            "LMS_PARAMS": json.dumps(dict(task.parameters), sort_keys=True),
            "ACCELERATOR": "virtual" if gpu is None else "gpu",
            **task.variables,
        },
        scenarios=settings.root / "scenarios",
        data=settings.data,
        input=input_directory,
        output=directory / "artifacts",
        logs=directory,
        lms_path=settings.lms_path,
        provider=provider,
        gpu=None if gpu is None else gpu.uuid,
        threads=threads,
        deadline_s=task.timeout_s,
        cold=task.cold,
        memory=memory,
        client=client,
    )


def client_directory(directory: Path) -> Path:
    """The directory of a phase's client."""
    return directory / "client"


def facts_of(launch: Launch) -> LogFacts:
    """What the logs of a phase say, and those of its client after them.

    Line numbers go on: `cat stdout.log stderr.log client/stdout.log client/stderr.log`. A phase
    that serves is done when both scripts are, each by its own marker; one that writes no marker
    is known by its exit code alone.

    Raises:
        OSError: a log cannot be read.
    """
    logs = _logs(launch.logs)
    if launch.client is None:
        return parser.parse(*logs)
    beside = _logs(launch.client.logs)
    parts = [parser.parse(*sources) for sources in (logs, beside)]
    done = any(part.done for part in parts) and all(part.done or not part.markers for part in parts)
    return parser.parse(*logs, *beside).model_copy(update={"done": done})


def _logs(directory: Path) -> list[Path]:
    paths = (directory / "stdout.log", directory / "stderr.log")
    return [path for path in paths if path.is_file()]


def lost(gpu: Gpu) -> str | None:
    """Why nothing more can run on a GPU that worked before, or None while it does."""
    try:
        with Nvml() as nvml:
            nvml.open(gpu.uuid).memory()
    except NvmlError as problem:
        return str(problem)
    return None


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as JSON would give them back, so that a record equals what is read from disk."""
    copied: dict[str, Any] = json.loads(json.dumps(dict(facts), default=str))
    return copied


def utc(now: datetime | None = None) -> str:
    """A moment, by default this one, in ISO 8601 with milliseconds."""
    now = now or datetime.now(timezone.utc)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
