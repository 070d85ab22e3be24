"""A run: executes a plan through an engine, judges each case, keeps the record up to date."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from harness.base import crash
from harness.base.error import (
    CrashError,
    EngineError,
    HarnessError,
    StoppedError,
    UnavailableError,
)
from harness.base.signals import stop_signals
from harness.base.stop import Stop, waited_for
from harness.base.text import one_line, plural
from harness.catalog.flavors import Flavor
from harness.engine import leftovers
from harness.engine.protocol import Engine, Environment
from harness.history import durations
from harness.measure.gpu import Gpu
from harness.plan import order
from harness.plan.partners import partners
from harness.plan.plan import Case, Plan, Task
from harness.record.models import Outcome, PhaseRecord, RunRecord
from harness.report import overview
from harness.report.files import reports
from harness.run import artifacts, group
from harness.run.attempts.attempt import Execution, not_run
from harness.run.attempts.dispatch import Dispatch, Earlier
from harness.run.attempts.places import Places
from harness.run.phase import Executor, Observer
from harness.run.recording import Recording, State, begun, no_room
from harness.run.settings import Settings, host_facts, memory_limit
from harness.run.verdicts import Verdicts

Result = TypeVar("Result")


def execute(
    plan: Plan,
    engine: Engine,
    settings: Settings,
    gpus: Sequence[Gpu] | None,
    observer: Observer,
) -> tuple[RunRecord, Path]:
    """Runs a plan to its end, or until SIGINT, SIGTERM or SIGHUP.

    Args:
        gpus: phases run on these, one at a time on each; none: on the virtual accelerator.

    Returns:
        The record, and the run's directory with all reports in it.

    Raises:
        CrashError: a bug of the harness ended the run; what was known by then is recorded.
        HarnessError, OSError: the run could not go on, as on a full disk; likewise.
    """
    try:
        run = _Run(plan, engine, settings, tuple(gpus or ()), observer)
    except BaseException:
        engine.close()
        raise
    with stop_signals(run.cancel):
        try:
            try:
                run.prepare()
                run.phases()
            finally:
                run.leave()
            return run.finish(), run.directory
        except BaseException as problem:
            raised = run.break_off(problem)
            if raised is problem:
                raise
            raise raised from problem


class _Run:
    """State of a run. Only the main thread changes it; workers return phase records."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        settings: Settings,
        gpus: Sequence[Gpu],
        observer: Observer,
    ) -> None:
        self.cancel = Stop()
        self._plan = plan
        self._engine = engine
        self._settings = settings
        self._gpus = gpus
        self._observer = observer
        self._accelerator = "gpu" if gpus else "virtual"
        self._environments: dict[str, Environment] = {}
        self._dispatch: Dispatch | None = None
        self._pending: list[PhaseRecord] = []  # ended, and not taken in yet
        self._verdicts = Verdicts(plan, self._accelerator, settings.reproduce)
        self._resources = engine.resources()
        host = {**host_facts(self._resources), **engine.facts()}
        record = begun(plan, settings, engine.name, gpus, host)
        self.directory = settings.reports / record.id
        self._recording = Recording(
            record,
            self.directory,
            [case.flavor for case in plan.cases],
            list(plan.tasks),
            lambda: self._verdicts.records,
            settings.baseline,
        )
        self._claim = leftovers.claim(self.directory)

    # --- preparing -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Makes every flavor's environment; a flavor that cannot be had is skipped, loudly."""
        self._recording.write()
        for line in reports.settle_killed(self._settings.reports):
            self._observer.message(line)
        missing: dict[str, str] = {}
        try:
            for line in self._waited(self._reap, "removing what killed runs have left"):
                self._observer.message(f"removed {line}")
            for flavor in self._plan.needed:
                self._make(flavor, missing)
        except StoppedError as stopped:
            self.cancel.set()
            self._observer.message(str(stopped))
        self._plan = self._plan.without(missing)
        self._verdicts = Verdicts(self._plan, self._accelerator, self._settings.reproduce)
        for case in self._plan.cases:
            if case.skip:
                self._judge(case)
        self._recording.write()

    def _make(self, flavor: Flavor, missing: dict[str, str]) -> None:
        """Makes a flavor's environment; adds to `missing` why it cannot be had.

        Raises:
            StoppedError: the run was stopped.
        """
        doing = f"making the environment of {flavor.id}"
        if self.cancel.is_set():
            raise StoppedError("the run was stopped")
        try:
            environment = self._waited(
                lambda: self._engine.prepare(
                    flavor, self._accelerator, self._observer.message, self.cancel
                ),
                doing,
            )
        except (UnavailableError, EngineError) as problem:
            if self.cancel.is_set():  # what was stopped is not broken
                raise StoppedError(f"the run was stopped while it was {doing}") from problem
            missing[flavor.id] = str(problem)
            self._observer.message(f"{flavor.id}: not available: {problem}")
            self._recording.note_flavor(
                flavor.id, unavailable=str(problem), error=isinstance(problem, EngineError)
            )
            return
        self._environments[flavor.id] = environment
        self._recording.add_notes(*environment.notes)
        self._recording.note_flavor(
            flavor.id,
            provenance={**environment.provenance, "environment": environment.handle},
        )
        self._recording.write()

    def _waited(self, work: Callable[[], Result], doing: str) -> Result:
        """Does what may wait for long; see `stop.waited_for`."""
        return waited_for(work, self.cancel, doing, self._observer.message)

    # --- running -------------------------------------------------------------------------------

    def phases(self) -> None:
        """Runs all tasks, each after its input: one on each GPU, or several on the CPU."""
        self._observer.begin(len(self._plan.tasks))
        on_cpu = not self._gpus
        jobs = self._settings.jobs_on_cpu(self._resources) if on_cpu else len(self._gpus)
        self._places = Places(self._gpus, jobs, partners(self._plan.cases))
        executor = Executor(
            engine=self._engine,
            settings=self._settings,
            gpu=None,
            run_id=self.directory.name,
            directory=self.directory,
            observer=self._observer,
            cancel=self.cancel,
            threads=max(1, self._resources.cores // jobs) if on_cpu else None,
            memory=memory_limit(self._resources, jobs),
        )

        def work(tasks: Sequence[Task], gpu: Gpu | None, earlier: Earlier) -> list[Execution]:
            place = replace(executor, gpu=gpu)
            return group.execute(place, tasks, self._environments[tasks[0].flavor], earlier)

        tasks = self._take_over(executor)
        known = durations.last(
            self._settings.reports, self._engine.name, self._accelerator, tasks.keys()
        )
        tasks = order.longest_first(tasks, known, mixed=not on_cpu)
        schedule = order.Schedule(tasks)
        dispatch = self._dispatch = Dispatch(
            schedule, self._places, work, self._observer.message, self._recording.add_notes
        )
        with contextlib.closing(dispatch):
            try:
                while not self.cancel.is_set():
                    dispatch.start()
                    if not dispatch.running:
                        break
                    self._wait(schedule, dispatch)
            except BaseException:
                self.cancel.set()
                raise
            finally:
                self._see_out(executor, dispatch)

    def _take_over(self, executor: Executor) -> Mapping[str, Task]:
        """Takes over what an earlier run has completed; returns the tasks that are to run.

        Raises:
            HarnessError: it cannot be recorded; or the run was stopped.
        """
        tasks, source = self._plan.tasks, self._settings.source
        models = ", ".join(sorted({gpu.name for gpu in self._gpus})) or None
        place = {"gpu": models, "threads": executor.threads}
        self._recording.identify(self._plan, self._environments, place)
        if source is None:
            return tasks
        work = partial(self._recording.takeover, source, tasks)
        taken = self._waited(work, f"taking over phases of {source.directory.name}")
        self._observer.message(taken.note)
        self._recording.adopt(taken)
        for record in taken.records.values():
            self._settle(record)
        for case in self._verdicts.settle(taken.records):
            self._judge(case)
            self._release(case)
        return order.left(tasks, taken.records, self.directory.name)

    def _wait(self, schedule: order.Schedule, dispatch: Dispatch) -> None:
        """Takes in the phases that have ended, after waiting for one of them.

        Raises:
            HarnessError: nothing more can be recorded.
        """
        self._pending += dispatch.collect()
        while self._pending:
            self._ended(self._pending.pop(0), schedule)
        self._recording.keep_up()

    def _see_out(self, executor: Executor, dispatch: Dispatch) -> None:
        """Waits for the phases that run when the run is stopped, as far as they end in time."""
        if dispatch.running:
            what = plural(len(dispatch.running), "phase")
            self._observer.message(f"stopping: ending {what}; interrupt again to end at once")
        for record in dispatch.wind_up(self.cancel, executor.begun):
            with contextlib.suppress(HarnessError):  # there is a last record to come
                self._settle(record)

    def _ended(self, record: PhaseRecord, schedule: order.Schedule) -> None:
        """Takes in a phase's end, and judges the cases that waited for it."""
        settled = [record.key]
        self._settle(record)
        if record.outcome is Outcome.COMPLETED:
            schedule.completed(record.key)
        else:
            for other in schedule.failed(record.key):
                settled.append(other.key)
                reason = f"{record.key} did not complete"
                self._settle(not_run(other, reason))
        for case in self._verdicts.settle(settled):
            self._judge(case)
            self._release(case)

    def _settle(self, record: PhaseRecord) -> None:
        try:
            self._recording.add_phase(record)
        finally:
            self._observer.phase_finished(record)

    def _release(self, case: Case) -> None:
        """Removes artifacts that no case needs any more; what a failure left stays."""
        unneeded = self._verdicts.unneeded(case)
        for key in () if self._settings.keep else unneeded:
            artifacts.discard(self.directory / "phases" / key)

    # --- ending --------------------------------------------------------------------------------

    def _judge(self, case: Case) -> None:
        stopped = self.cancel.is_set() or self._broken is not None
        record = self._verdicts.judge(case, self._recording.phases, stopped)
        for use in case.uses if len(self._gpus) > 1 else ():
            own, control = (self._recording.phases.get(key or "") for key in (use.key, use.control))
            if own and control and not self._places.alike(own.gpu, control.gpu):
                self._recording.add_notes(
                    f"{use.key} and its control ran on GPUs of two kinds: their peaks differ by"
                    " more than what was swapped"
                )
        self._observer.case_judged(record)
        self._recording.add_case(record)

    def leave(self) -> None:
        """Ends what the engine keeps running."""
        with contextlib.suppress(StoppedError):
            self._waited(self._engine.close, "ending what the engine has started")

    def finish(self) -> RunRecord:
        """Judges what was not judged, writes the final record and reports."""
        interrupted = self.cancel.is_set()
        self._close(
            "the run was interrupted" if interrupted else (self._broken or "was not reached")
        )
        for case in self._verdicts.open:
            self._judge(case)
        leftovers.give_up(self._claim)
        return self._recording.end("interrupted" if interrupted else "finished")

    def break_off(self, problem: BaseException) -> BaseException:
        """Records what is known when something was raised; returns what the caller has to raise.

        After a bug of the harness cases that are not judged stay so: what judges them may be what
        broke.
        """
        state: State = "aborted"
        if crash.is_bug(problem):
            state, problem = "crashed", crash.store(problem, self.directory)
        elif isinstance(problem, (KeyboardInterrupt, StoppedError)):
            state = "interrupted"
        reason = one_line(str(problem)) if str(problem) else f"the run was {state}"
        # The first problem is the one to be told, whatever else cannot be done because of it.
        recording = self._recording
        with contextlib.suppress(Exception):
            recording.phases.update({record.key: record for record in self._pending})
            self._close(reason)
            if state != "crashed":
                for case in self._verdicts.open:
                    record = self._verdicts.judge(case, recording.phases, stopped=True)
                    self._observer.case_judged(record)
        with contextlib.suppress(Exception):
            self._verdicts.give_up()
            notes = {"aborted": f"the run was aborted: {reason}", "crashed": reason}
            if state in notes:
                recording.add_notes(notes[state])
            if no_room(problem):
                self._make_room()
        with contextlib.suppress(OSError):
            leftovers.give_up(self._claim)
        try:
            recording.end(state)
        except Exception:
            found = overview.gather(recording.record).headline
            self._observer.message(f"not recorded: {found.word}: {found.checks}")
            if isinstance(problem, HarnessError) and not isinstance(problem, CrashError):
                return HarnessError(f"{problem}; the record lacks what came last")
        return problem

    def _reap(self) -> list[str]:
        return [*self._engine.reap(), *leftovers.reap(self._settings.reports)]

    def _make_room(self) -> None:
        """Removes what phases without a result have left: it is of no use, and may be large."""
        for record in self._recording.phases.values():
            if record.outcome in (Outcome.INTERRUPTED, Outcome.ENGINE_ERROR):
                artifacts.remove(self.directory / record.directory / "artifacts")

    @property
    def _broken(self) -> str | None:
        """Why nothing more is started though there is something, or None."""
        return None if self._dispatch is None else self._dispatch.broken

    def _close(self, reason: str) -> None:
        """Phases that have no record did not run, or not again, for this reason."""
        phases = self._recording.phases
        for task in self._plan.tasks.values():
            if task.key not in phases:
                waiting = None if self._dispatch is None else self._dispatch.waiting(task)
                phases[task.key] = waiting or not_run(task, reason)
