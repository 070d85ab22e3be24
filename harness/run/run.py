"""A run: executes a plan through an engine, judges each case, keeps the record up to date."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from harness.base import crash
from harness.base.error import EngineError, StoppedError, UnavailableError
from harness.base.text import one_line
from harness.engine.protocol import Engine, Environment
from harness.measure.gpu import Gpu
from harness.plan.order import Schedule
from harness.plan.plan import Case, Plan, Task
from harness.record.models import FlavorRecord, Outcome, PhaseRecord, RunRecord
from harness.report import reports
from harness.run import artifacts, group
from harness.run.phase import Executor, Observer, lost, phase_record, plain, utc
from harness.run.settings import Settings, host_facts, memory_limit
from harness.run.signals import stop_signals
from harness.run.verdicts import Verdicts

State = Literal["finished", "interrupted", "aborted", "crashed"]


def execute(
    plan: Plan, engine: Engine, settings: Settings, gpu: Gpu | None, observer: Observer
) -> tuple[RunRecord, Path]:
    """Runs a plan to its end, or until SIGINT or SIGTERM.

    Returns:
        The record, and the run's directory with all reports in it.

    Raises:
        CrashError: a bug of the harness ended the run; what was known by then is recorded.
        HarnessError, OSError: the run could not go on, as on a full disk; likewise.
    """
    run = None
    try:
        try:
            run = _Run(plan, engine, settings, gpu, observer)
            with stop_signals(run.cancel):
                run.prepare()
                run.phases()
        finally:
            engine.close()
        return run.finish(), run.directory
    except BaseException as problem:
        if run is None:
            raise
        raised = run.break_off(problem)
        if raised is problem:
            raise
        raise raised from problem


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
        # By flavor, what the first phase that told it said of its environment.
        self._said: dict[str, Mapping[str, Any]] = {}
        self._running: set[concurrent.futures.Future[list[PhaseRecord]]] = set()
        self._verdicts = Verdicts(plan, self._accelerator, settings.reproduce)
        self._flavors = {
            case.flavor.id: FlavorRecord(id=case.flavor.id, description=case.flavor.description)
            for case in plan.cases
        }
        self._started = time.monotonic()
        self._next_write = 0.0
        self._gpu_lost: str | None = None
        self._resources = engine.resources()
        now = datetime.now(timezone.utc)
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        host = {**host_facts(self._resources), **engine.facts()}
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
            strict=settings.strict,
            command=settings.command,
            gpu=None if gpu is None else plain(asdict(gpu)),
            host=host,
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
                    flavor, self._accelerator, self._observer.message, self.cancel
                )
            except StoppedError:
                self.cancel.set()
                break
            except (UnavailableError, EngineError) as problem:
                missing[flavor.id] = str(problem)
                self._observer.message(f"{flavor.id}: not available: {problem}")
                self._note(
                    flavor.id, unavailable=str(problem), error=isinstance(problem, EngineError)
                )
                continue
            self._environments[flavor.id] = environment
            self._record.notes.extend(
                note for note in environment.notes if note not in self._record.notes
            )
            provenance = {**environment.provenance, "environment": environment.handle}
            self._note(flavor.id, provenance=provenance)
        self._plan = self._plan.without(missing)
        self._verdicts = Verdicts(self._plan, self._accelerator, self._settings.reproduce)
        for case in self._plan.cases:
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
        jobs = 1 if self._gpu is not None else self._settings.jobs_on_cpu(self._resources)
        executor = Executor(
            engine=self._engine,
            settings=self._settings,
            gpu=self._gpu,
            run_id=self._record.id,
            directory=self.directory,
            observer=self._observer,
            cancel=self.cancel,
            threads=max(1, self._resources.cores // jobs) if self._gpu is None else None,
            memory=memory_limit(self._resources, jobs),
        )
        schedule = Schedule(self._plan.tasks)
        with concurrent.futures.ThreadPoolExecutor(jobs, "phase") as pool:
            try:
                while True:
                    if not self.cancel.is_set() and self._gpu_lost is None:
                        for tasks in schedule.start(jobs - len(self._running)):
                            environment = self._environments[tasks[0].flavor]
                            self._running.add(
                                pool.submit(group.execute, executor, tasks, environment)
                            )
                    if not self._running:
                        break
                    self._wait(schedule)
            except BaseException:
                self.cancel.set()  # the pool waits for the phases that run
                raise

    def _wait(self, schedule: Schedule) -> None:
        """Takes in the phases that have ended, after waiting for one of them."""
        # The timeout lets the interpreter deliver signals to this thread.
        done, _ = concurrent.futures.wait(self._running, 0.5, concurrent.futures.FIRST_COMPLETED)
        for future in done:
            self._running.remove(future)
            for record in future.result():
                self._ended(record, schedule)

    def _ended(self, record: PhaseRecord, schedule: Schedule) -> None:
        """Takes in a phase's end, and judges the cases that waited for it."""
        settled = [record.key]
        self._settle(record)
        if self._gpu is not None and self._gpu_lost is None:
            # Who holds the memory now holds it for the next phase as well.
            busy = record.reason if record.details.get("gpu_busy") else None
            self._gpu_lost = busy or lost(self._gpu)
            if self._gpu_lost is not None:
                self._observer.message(f"stopping: {self._gpu_lost}")
        if record.outcome is Outcome.COMPLETED:
            schedule.completed(record.key)
        else:
            for other in schedule.failed(record.key):
                settled.append(other.key)
                self._settle(self._not_run(other, f"{record.key} did not complete"))
        for case in self._verdicts.settle(settled):
            self._judge(case)
            self._release(case)
        if time.monotonic() >= self._next_write:
            self._write()

    def _settle(self, record: PhaseRecord) -> None:
        self._phases[record.key] = record
        if record.facts.environment:
            self._said.setdefault(record.flavor, record.facts.environment)
        self._observer.phase_finished(record)

    def _release(self, case: Case) -> None:
        """Removes artifacts that no case needs any more; what a failure left stays."""
        unneeded = self._verdicts.unneeded(case)
        for key in () if self._settings.keep else unneeded:
            artifacts.remove(self.directory / "phases" / key / "artifacts")

    # --- recording -----------------------------------------------------------------------------

    def _judge(self, case: Case) -> None:
        self._observer.case_judged(self._verdicts.judge(case, self._phases))

    def _not_run(self, task: Task, reason: str) -> PhaseRecord:
        return phase_record(task).model_copy(update={"reason": reason})

    def _snapshot(self) -> RunRecord:
        return self._record.model_copy(
            update={
                "duration_s": round(time.monotonic() - self._started, 3),
                "flavors": [self._with_versions(flavor) for flavor in self._flavors.values()],
                "cases": self._verdicts.records,
                "phases": [self._phases[key] for key in self._plan.tasks if key in self._phases],
            }
        )

    def _with_versions(self, flavor: FlavorRecord) -> FlavorRecord:
        """Adds what the phases themselves said of their environment."""
        said = self._said.get(flavor.id)
        if said is None:
            return flavor
        added = {
            name: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for name, value in said.items()
        }
        return flavor.model_copy(update={"provenance": {**flavor.provenance, **added}})

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
        self._close(
            "the run was interrupted" if interrupted else (self._gpu_lost or "was not reached")
        )
        for case in self._verdicts.open:
            self._judge(case)
        return self._end("interrupted" if interrupted else "finished")

    def break_off(self, problem: BaseException) -> BaseException:
        """Records what is known when something was raised; returns what the caller has to raise.

        Cases that are not judged stay so: what judges them may be what broke.
        """
        state: State = "aborted"
        if crash.is_bug(problem):
            state, problem = "crashed", crash.store(problem, self.directory)
        elif isinstance(problem, (KeyboardInterrupt, StoppedError)):
            state = "interrupted"
        reason = one_line(str(problem)) if str(problem) else f"the run was {state}"
        # The first problem is the one to be told, whatever else cannot be done because of it.
        with contextlib.suppress(Exception):
            for future in self._running:
                if future.done():
                    self._phases.update({record.key: record for record in future.result()})
        with contextlib.suppress(Exception):
            self._close(reason)
            self._verdicts.give_up()
            notes = {"aborted": [f"the run was aborted: {reason}"], "crashed": [reason]}
            self._record = self._record.model_copy(
                update={"notes": [*self._record.notes, *notes.get(state, [])]}
            )
            self._end(state)
        return problem

    def _close(self, reason: str) -> None:
        """Phases that have no record did not run, for this reason."""
        for task in self._plan.tasks.values():
            if task.key not in self._phases:
                self._phases[task.key] = self._not_run(task, reason)

    def _end(self, state: State) -> RunRecord:
        self._record = self._record.model_copy(update={"state": state, "finished": utc()})
        self._record = self._snapshot()
        reports.write_all(self._record, self.directory)
        return self._record
