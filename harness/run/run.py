"""A run: executes a plan through an engine, judges each case, keeps the record up to date."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.base.error import EngineError, UnavailableError
from harness.checks import judge
from harness.checks.evidence import Evidence, Reference
from harness.engine.protocol import Engine, Environment
from harness.measure.gpu import Gpu
from harness.plan.order import dependents, ready
from harness.plan.plan import Case, Plan, Task
from harness.record.checks import Status
from harness.record.models import (
    CaseRecord,
    FlavorRecord,
    Outcome,
    PhaseRecord,
    PhaseUse,
    RunRecord,
)
from harness.report import reports
from harness.run import artifacts
from harness.run.phase import Executor, Observer, lost, phase_record, plain, utc
from harness.run.settings import Settings, host_facts


def execute(
    plan: Plan, engine: Engine, settings: Settings, gpu: Gpu | None, observer: Observer
) -> tuple[RunRecord, Path]:
    """Runs a plan to its end, or until SIGINT or SIGTERM.

    Returns:
        The record, and the run's directory with all reports in it.
    """
    run = _Run(plan, engine, settings, gpu, observer)
    try:
        with stop_signals(run.cancel):
            run.prepare()
            run.phases()
    finally:
        engine.close()
    return run.finish(), run.directory


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
            started=utc(now),
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
        for flavor in self._plan.needed:
            if self.cancel.is_set():
                break
            try:
                environment = self._engine.prepare(
                    flavor, self._accelerator, self._observer.message
                )
            except (UnavailableError, EngineError) as problem:
                missing[flavor.id] = str(problem)
                self._observer.message(f"{flavor.id}: not available: {problem}")
                self._note(
                    flavor.id, unavailable=str(problem), error=isinstance(problem, EngineError)
                )
                continue
            self._environments[flavor.id] = environment
            provenance = {**environment.provenance, "environment": environment.handle}
            self._note(flavor.id, provenance=provenance)
        self._plan = self._plan.without(missing)
        for case in self._plan.cases:
            self._waiting[case.id] = set(case.keys)
            for key in self._waiting[case.id]:
                self._users.setdefault(key, []).append(case)
            if case.skip:
                self._judge(case)
        self._write()

    def _note(self, flavor: str, **facts: Any) -> None:
        """Adds facts to a flavor's record; one that the run has no case of has none."""
        if flavor in self._flavors:
            self._flavors[flavor] = self._flavors[flavor].model_copy(update=facts)

    # --- running -------------------------------------------------------------------------------

    def phases(self) -> None:
        """Runs all tasks, each after its input, several at a time on the CPU."""
        self._observer.begin(len(self._plan.tasks))
        jobs = 1 if self._gpu is not None else self._settings.jobs_on_cpu()
        executor = Executor(
            engine=self._engine,
            settings=self._settings,
            gpu=self._gpu,
            run_id=self._record.id,
            directory=self.directory,
            observer=self._observer,
            cancel=self.cancel,
            threads=max(1, (os.cpu_count() or 1) // jobs) if self._gpu is None else None,
        )
        running: dict[concurrent.futures.Future[PhaseRecord], Task] = {}
        pending = dict(self._plan.tasks)
        with concurrent.futures.ThreadPoolExecutor(jobs, "phase") as pool:
            while True:
                if not self.cancel.is_set() and self._gpu_lost is None:
                    startable = ready(pending.values(), self._completed)
                    for task in list(itertools.islice(startable, jobs - len(running))):
                        del pending[task.key]
                        environment = self._environments[task.flavor]
                        running[pool.submit(executor.execute, task, environment)] = task
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
            # Who holds the memory now holds it for the next phase as well.
            busy = record.reason if record.details.get("gpu_busy") else None
            self._gpu_lost = busy or lost(self._gpu)
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
                artifacts.remove(self.directory / "phases" / key / "artifacts")

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
            reproduce=self._settings.reproduce(case.flavor.id, scenario.id),
        )
        if case.skip is None:
            by_name = {phase.id: phase for phase in scenario.phase}
            checks = judge.judge(
                Evidence(
                    scenario=scenario,
                    phases=tuple((by_name[use.name], self._phases[use.key]) for use in case.uses),
                    controls={
                        use.name: self._phases[use.control] for use in case.uses if use.control
                    },
                    references={
                        use.name: Reference(
                            name=_reference_name(case, use),
                            record=self._phases[use.reference],
                            declared=use.reference_declared,
                        )
                        for use in case.uses
                        if use.reference
                    },
                    provider=case.provider,
                    accelerator=self._accelerator,
                    mode=case.mode,
                    unswapped=case.unswapped,
                )
            )
            if scenario.expects is None:
                record = record.model_copy(update={"checks": checks})
            else:
                caught = judge.caught(scenario, checks)
                record = record.model_copy(update={"checks": [caught], "behind": checks})
        self._judged[record.id] = record
        self._observer.case_judged(record)

    def _not_run(self, task: Task, reason: str) -> PhaseRecord:
        return phase_record(task).model_copy(update={"reason": reason})

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
        reports.write_all(self._snapshot(), self.directory)
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
                "finished": utc(),
            }
        )
        self._record = self._snapshot()
        reports.write_all(self._record, self.directory)
        return self._record


def _reference_name(case: Case, use: PhaseUse) -> str:
    """The id of the phase that is the reference, or `<phase>-reference` for one of its own."""
    names = {entry.key: entry.name for entry in case.uses}
    return names.get(use.reference or "", f"{use.name}-reference")


@contextlib.contextmanager
def stop_signals(cancel: threading.Event) -> Iterator[None]:
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
