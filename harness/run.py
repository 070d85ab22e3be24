"""A run: executes a plan through an engine, judges each case, keeps the record up to date."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import math
import os
import platform
import secrets
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import psutil

from harness import artifact, check, lease, log, report
from harness.engine import Engine, Environment, Exit, Launch, Target
from harness.error import EngineError, HarnessError, UnavailableError
from harness.gpu import Gpu, NvmlError
from harness.nvml import Nvml
from harness.plan import Case, Plan, Task, dependents, ready
from harness.record import (
    CaseRecord,
    FlavorRecord,
    LogFacts,
    Outcome,
    PhaseRecord,
    RunRecord,
    Status,
)
from harness.sampler import Sampler

# What a TensorFlow phase takes at its peak, measured on the MNIST scenarios, with room to spare.
_PHASE_MEMORY = 2 * 2**30


class Observer(Protocol):
    """Whoever watches a run: the terminal."""

    def message(self, text: str) -> None:
        """Something that the user should know now."""

    def begin(self, total: int) -> None:
        """The phases start; there are `total` of them."""

    def phase_started(self, task: Task, logs: Path) -> None:
        """A phase runs; its logs grow in `logs`."""

    def phase_finished(self, record: PhaseRecord) -> None:
        """A phase ended."""

    def case_judged(self, record: CaseRecord) -> None:
        """All phases of a case have ended and its checks are known."""


@dataclass(frozen=True)
class Settings:
    """How a run is done.

    Attributes:
        root: the checkout.
        reports: the directory that gets one directory a run.
        data: data sets for the phases.
        lms_path: parent directory of a foreign LMS package, or None.
        jobs: phases at a time on the CPU; None: as many as cores and memory allow.
        keep: keep artifacts of cases that passed, too.
        command: the command line, for the record.
        options: `make` variables that a reproduction needs as well, e.g. {"ENGINE": "venv"}.
        notes: what the reader of the reports must know (fallbacks that were taken).
    """

    root: Path
    reports: Path
    data: Path
    lms_path: Path | None = None
    jobs: int | None = None
    keep: bool = False
    share: bool = True
    command: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def execute(
    plan: Plan, engine: Engine, settings: Settings, gpu: Gpu | None, observer: Observer
) -> tuple[RunRecord, Path]:
    """Runs a plan to its end, or until SIGINT or SIGTERM.

    Returns:
        The record, and the run's directory with all reports in it.
    """
    run = _Run(plan, engine, settings, gpu, observer)
    try:
        with _stop_signals(run.cancel):
            run.prepare()
            run.phases()
    finally:
        engine.close()
    return run.finish(), run.directory


def reproduce_command(flavor: str, scenario: str, options: Mapping[str, str]) -> str:
    """The command that runs one case by hand."""
    words = [f"{name}={shlex.quote(value)}" for name, value in options.items()]
    return " ".join(["make repro", f"FLAVOR={flavor}", f"SCENARIO={scenario}", *words])


class _Run:
    """State of a run. Only the main thread changes it; workers return phase records."""

    def __init__(
        self, plan: Plan, engine: Engine, settings: Settings, gpu: Gpu | None, observer: Observer
    ) -> None:
        self.cancel = threading.Event()
        self._plan = plan
        self._engine = engine
        self._settings = settings
        self._gpu = gpu
        self._observer = observer
        self._accelerator = "virtual" if gpu is None else "gpu"
        self._environments: dict[str, Environment] = {}
        self._phases: dict[str, PhaseRecord] = {}
        self._completed: set[str] = set()
        self._judged: dict[str, CaseRecord] = {}
        self._users: dict[str, list[Case]] = {}
        self._waiting: dict[str, set[str]] = {}
        self._flavors = {
            case.flavor.id: FlavorRecord(id=case.flavor.id, description=case.flavor.description)
            for case in plan.cases
        }
        self._started = time.monotonic()
        self._next_write = 0.0
        self._gpu_lost: str | None = None
        now = datetime.now(timezone.utc)
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.directory = settings.reports / run_id
        self.directory.mkdir(parents=True)
        self._record = RunRecord(
            id=run_id,
            state="running",
            started=_utc(now),
            engine=engine.name,
            accelerator=self._accelerator,
            provider=plan.provider,
            parameters=dict(plan.parameters),
            share=settings.share,
            command=settings.command,
            gpu=None if gpu is None else plain(asdict(gpu)),
            host={**host_facts(), **engine.facts()},
            notes=list(settings.notes),
        )

    # --- preparing -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Makes every flavor's environment; a flavor that cannot be had is skipped, loudly."""
        for line in self._engine.reap():
            self._observer.message(f"removed {line}")
        missing: dict[str, str] = {}
        flavors = {case.flavor.id: case.flavor for case in self._plan.cases if not case.skip}
        for flavor in flavors.values():
            if self.cancel.is_set():
                break
            try:
                environment = self._engine.prepare(
                    flavor, self._accelerator, self._observer.message
                )
            except (UnavailableError, EngineError) as problem:
                missing[flavor.id] = str(problem)
                self._observer.message(f"{flavor.id}: not available: {problem}")
                self._flavors[flavor.id] = self._flavors[flavor.id].model_copy(
                    update={
                        "unavailable": str(problem),
                        "error": isinstance(problem, EngineError),
                    }
                )
                continue
            self._environments[flavor.id] = environment
            provenance = {**environment.provenance, "environment": environment.handle}
            self._flavors[flavor.id] = self._flavors[flavor.id].model_copy(
                update={"provenance": provenance}
            )
        self._plan = self._plan.without(missing)
        for case in self._plan.cases:
            self._waiting[case.id] = set(case.keys)
            for key in self._waiting[case.id]:
                self._users.setdefault(key, []).append(case)
            if case.skip:
                self._judge(case)
        self._write()

    # --- running -------------------------------------------------------------------------------

    def phases(self) -> None:
        """Runs all tasks, each after its input, several at a time on the CPU."""
        self._observer.begin(len(self._plan.tasks))
        jobs = self._jobs()
        threads = max(1, (os.cpu_count() or 1) // jobs) if self._gpu is None else None
        running: dict[concurrent.futures.Future[PhaseRecord], Task] = {}
        pending = dict(self._plan.tasks)
        with concurrent.futures.ThreadPoolExecutor(jobs, "phase") as pool:
            while True:
                if not self.cancel.is_set() and self._gpu_lost is None:
                    startable = ready(pending.values(), self._completed)
                    for task in list(itertools.islice(startable, jobs - len(running))):
                        del pending[task.key]
                        running[pool.submit(self._execute, task, threads)] = task
                if not running:
                    break
                # The timeout lets the interpreter deliver signals to this thread.
                done, _ = concurrent.futures.wait(running, 0.5, concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    for key in self._ended(running.pop(future), future.result()):
                        pending.pop(key, None)

    def _ended(self, task: Task, record: PhaseRecord) -> list[str]:
        """Takes in a phase's end; returns the keys of all tasks that are settled by it."""
        settled = [task.key]
        self._settle(record)
        if self._gpu is not None and self._gpu_lost is None:
            self._gpu_lost = lost(self._gpu)
            if self._gpu_lost is not None:
                self._observer.message(f"stopping: {self._gpu_lost}")
        if record.outcome is Outcome.COMPLETED:
            self._completed.add(task.key)
        else:
            for other in dependents(self._plan, task.key):
                settled.append(other.key)
                self._settle(self._not_run(other, f"{task.key} did not complete"))
        for case in self._ready_to_judge(settled):
            self._judge(case)
            self._release(case)
        if time.monotonic() >= self._next_write:
            self._write()
        return settled

    def _settle(self, record: PhaseRecord) -> None:
        self._phases[record.key] = record
        self._observer.phase_finished(record)

    def _ready_to_judge(self, settled: list[str]) -> list[Case]:
        """Cases that waited only for these tasks."""
        found = []
        for key in settled:
            for case in self._users[key]:
                waiting = self._waiting[case.id]
                waiting.discard(key)
                if not waiting and case.id not in self._judged and case not in found:
                    found.append(case)
        return found

    def _release(self, case: Case) -> None:
        """Removes artifacts that no case needs any more; what a failure left stays."""
        if self._settings.keep:
            return
        for key in case.keys:
            judged = [self._judged.get(user.id) for user in self._users[key]]
            if all(record is not None and record.status is Status.PASSED for record in judged):
                artifact.remove(self.directory / "phases" / key / "artifacts")

    def _execute(self, task: Task, threads: int | None) -> PhaseRecord:
        """Runs one phase; called in a worker thread, and never raises."""
        directory = self.directory / "phases" / task.key
        started, clock = _utc(), time.monotonic()
        sampler: list[Sampler] = []
        exit_: Exit
        facts = LogFacts()
        try:
            launch = self._launch(task, directory, threads)
            uuid = None if self._gpu is None else self._gpu.uuid
            with contextlib.ExitStack() as stack:
                stack.enter_context(lease.hold(uuid, self.cancel, self._observer.message))
                device = None
                if uuid is not None:
                    device = stack.enter_context(Nvml()).open(uuid)

                def begin(target: Target) -> None:
                    beside = Sampler(device, target, directory / "samples.csv")
                    beside.start()
                    sampler.append(beside)

                started, clock = _utc(), time.monotonic()
                self._observer.phase_started(task, directory)
                try:
                    exit_ = self._engine.execute(launch, begin, self.cancel)
                finally:
                    samples = sampler[0].stop() if sampler else None
                duration = time.monotonic() - clock
            if launch.input is not None:
                artifact.remove(launch.input)
            logs = [directory / "stdout.log", directory / "stderr.log"]
            facts = log.parse(*(path for path in logs if path.is_file()))
        except Exception as problem:  # a worker's exception would be lost with its thread
            samples, duration = None, time.monotonic() - clock
            text = str(problem) if isinstance(problem, HarnessError) else repr(problem)
            exit_ = Exit(Outcome.ENGINE_ERROR, None, " ".join(text.split())[:500])
        (directory / "details.json").write_text(
            json.dumps(plain(exit_.details), indent=1), encoding="utf-8"
        )
        return self._phase_record(task).model_copy(
            update={
                "outcome": exit_.outcome,
                "exit_code": exit_.code,
                "reason": exit_.reason,
                "started": started,
                "duration_s": round(duration, 3),
                "facts": facts,
                "samples": None if samples is None else samples.to_dict(),
                "details": plain(exit_.details),
            }
        )

    def _launch(self, task: Task, directory: Path, threads: int | None) -> Launch:
        output = directory / "artifacts"
        output.mkdir(parents=True)
        given = None
        if task.input is not None:
            given = directory / "input"
            artifact.copy_read_only(self.directory / "phases" / task.input / "artifacts", given)
        return launch_of(
            task,
            self._environments[task.flavor],
            self._settings,
            self._record.id,
            self._gpu,
            given,
            output,
            directory,
            threads,
        )

    def _jobs(self) -> int:
        if self._gpu is not None:
            return 1
        if self._settings.jobs is not None:
            return self._settings.jobs
        memory = max(1, psutil.virtual_memory().available // _PHASE_MEMORY)
        return max(1, min(os.cpu_count() or 1, memory))

    # --- recording -----------------------------------------------------------------------------

    def _judge(self, case: Case) -> None:
        scenario = case.scenario
        record = CaseRecord(
            flavor=case.flavor.id,
            family=scenario.family,
            scenario=scenario.id,
            description=scenario.description,
            phases=list(case.uses),
            expects=scenario.expects,
            skip=case.skip,
            reproduce=reproduce_command(case.flavor.id, scenario.id, self._settings.options),
        )
        if case.skip is None:
            by_name = {phase.id: phase for phase in scenario.phase}
            checks = check.judge(
                check.Evidence(
                    scenario=scenario,
                    phases=tuple((by_name[use.name], self._phases[use.key]) for use in case.uses),
                    controls={
                        use.name: self._phases[use.control] for use in case.uses if use.control
                    },
                    provider=case.provider,
                    accelerator=self._accelerator,
                )
            )
            if scenario.expects is None:
                record = record.model_copy(update={"checks": checks})
            else:
                caught = check.caught(scenario, checks)
                record = record.model_copy(update={"checks": [caught], "evidence": checks})
        self._judged[record.id] = record
        self._observer.case_judged(record)

    def _phase_record(self, task: Task) -> PhaseRecord:
        return PhaseRecord(
            key=task.key,
            flavor=task.flavor,
            family=task.family,
            script=task.script,
            role=task.role,
            provider=task.provider,
            parameters=dict(task.parameters),
            control_of=task.control_of,
            input_of=task.input,
            outcome=Outcome.NOT_RUN,
            directory=f"phases/{task.key}",
        )

    def _not_run(self, task: Task, reason: str) -> PhaseRecord:
        return self._phase_record(task).model_copy(update={"reason": reason})

    def _snapshot(self) -> RunRecord:
        order = [case.id for case in self._plan.cases]
        return self._record.model_copy(
            update={
                "duration_s": round(time.monotonic() - self._started, 3),
                "flavors": [self._with_versions(flavor) for flavor in self._flavors.values()],
                "cases": [self._judged[name] for name in order if name in self._judged],
                "phases": [self._phases[key] for key in self._plan.tasks if key in self._phases],
            }
        )

    def _with_versions(self, flavor: FlavorRecord) -> FlavorRecord:
        """Adds what the phases themselves said of their environment."""
        for record in self._phases.values():
            said = record.facts.environment
            if record.flavor == flavor.id and said:
                added = {
                    name: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                    for name, value in said.items()
                }
                provenance = {**flavor.provenance, **added}
                return flavor.model_copy(update={"provenance": provenance})
        return flavor

    def _write(self) -> None:
        """Brings the run directory up to date; a killed driver leaves what it had by then.

        The pause grows with the time that writing takes, so that it stays below 5 % of a run
        of any size.
        """
        begin = time.monotonic()
        report.write_all(self._snapshot(), self.directory)
        now = time.monotonic()
        self._next_write = now + 20 * (now - begin)

    def finish(self) -> RunRecord:
        """Judges what was not judged, writes the final record and reports."""
        interrupted = self.cancel.is_set()
        reason = "the run was interrupted" if interrupted else (self._gpu_lost or "was not reached")
        for task in self._plan.tasks.values():
            if task.key not in self._phases:
                self._phases[task.key] = self._not_run(task, reason)
        for case in self._plan.cases:
            if case.id not in self._judged:
                self._judge(case)
        self._record = self._record.model_copy(
            update={
                "state": "interrupted" if interrupted else "finished",
                "finished": _utc(),
            }
        )
        self._record = self._snapshot()
        report.write_all(self._record, self.directory)
        return self._record


def launch_of(
    task: Task,
    environment: Environment,
    settings: Settings,
    run_id: str,
    gpu: Gpu | None,
    given: Path | None,
    output: Path,
    logs: Path,
    threads: int | None,
) -> Launch:
    """What the engine is told about a task: the contract of a scenario in `docs/contract.md`."""
    return Launch(
        key=task.key,
        run_id=run_id,
        environment=environment,
        script=task.script,
        variables={
            "LMS_PROVIDER": task.provider,
            "LMS_PARAMS": json.dumps(dict(task.parameters), sort_keys=True),
            "ACCELERATOR": "virtual" if gpu is None else "gpu",
            **task.variables,
        },
        scenarios=settings.root / "scenarios",
        data=settings.data,
        input=given,
        output=output,
        logs=logs,
        lms_path=settings.lms_path,
        gpu=None if gpu is None else gpu.uuid,
        threads=threads,
        deadline_s=task.timeout_s,
        memory=memory_limit(1 if gpu is not None else (settings.jobs or os.cpu_count() or 1)),
    )


def memory_limit(jobs: int) -> int:
    """Bytes one phase may use: nine tenths of the machine, divided among the jobs.

    On a GPU host memory is where swapped tensors go, and pinned pages count against the limit.
    """
    return math.floor(psutil.virtual_memory().total * 0.9 / jobs)


def lost(gpu: Gpu) -> str | None:
    """Why nothing more can run on a GPU that worked before, or None while it does."""
    try:
        with Nvml() as nvml:
            nvml.open(gpu.uuid).memory()
    except NvmlError as problem:
        return str(problem)
    return None


def host_facts() -> dict[str, Any]:
    """The machine: name, cores, memory in bytes, kernel, Python of the driver."""
    return {
        "hostname": platform.node(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "driver_python": platform.python_version(),
    }


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as JSON would give them back, so that a record equals what is read from disk."""
    copied: dict[str, Any] = json.loads(json.dumps(dict(facts), default=str))
    return copied


def _utc(now: datetime | None = None) -> str:
    now = now or datetime.now(timezone.utc)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextlib.contextmanager
def _stop_signals(cancel: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops the run in order; a second SIGINT stops it at once."""

    def stop(number: int, frame: object) -> None:
        if cancel.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        cancel.set()

    previous: dict[signal.Signals, Callable[..., Any] | int | None] = {}
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            previous[name] = signal.signal(name, stop)
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
