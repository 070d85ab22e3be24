"""Makes a proof: runs one phase of a case again and again, with more and more to hold in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from harness.base import atomic, crash
from harness.base.error import CrashError, EngineError, StoppedError, UsageError
from harness.base.signals import stop_signals
from harness.base.stop import Stop, waited_for
from harness.base.text import one_line, plural
from harness.engine import leftovers
from harness.engine.protocol import Engine, Environment
from harness.measure.gpu import Gpu
from harness.plan import scale
from harness.plan.plan import Case, Plan, Task
from harness.record import store
from harness.record.models import BUG, Outcome, PhaseRecord
from harness.report.timeline import svg, timelines
from harness.run.phase import Executor, Observer, plain
from harness.run.proof import proof
from harness.run.proof.proof import Measurement, Proof, State
from harness.run.settings import Settings, memory_limit

FILE = "proof.json"
PICTURE = "proof.svg"


def prove(
    plan: Plan,
    engine: Engine,
    settings: Settings,
    gpu: Gpu,
    observer: Observer,
    goal: int,
    most: int,
) -> tuple[Proof, Path]:
    """Proves one case: its judged phase that trains, else the one that predicts.

    Args:
        plan: of one case, with a control.
        goal: bytes that the control's step has to take on the GPU.
        most: greatest factor on the batch size.

    Returns:
        The proof, whose state says whether it was interrupted, and the directory with everything
        that was run, `proof.json`, and the memory of its last two executions over time. The file
        is there from the begin on, and holds each measurement as soon as it was made.

    Raises:
        UsageError: the plan holds nothing that can be proven.
        EngineError: the flavor cannot be had, or an earlier phase failed.
        KeyboardInterrupt: it was interrupted in a hurry.
        CrashError: the harness itself broke, in this thread or around a phase.
    """
    (case,) = plan.cases
    phase, task = _task(plan, case)
    prover = _Prover(plan, engine, settings, gpu, observer)
    kept = _Kept(
        Proof(
            flavor=case.flavor.id,
            scenario=case.scenario.id,
            phase=phase,
            gpu=plain(asdict(gpu)),
            goal=goal,
            effect="moves" if case.way is None else case.way.effect,
        ),
        prover.directory / FILE,
    )
    observer.begin(None)  # how often the batch has to grow nobody knows
    with crash.kept(prover.directory):
        try:
            try:
                kept.update()
                with stop_signals(prover.cancel):
                    prover.prepare(task)
                    _measure(kept, prover, task, most)
            finally:
                engine.close()
                leftovers.give_up(prover.claim)
        except StoppedError as stopped:
            kept.end("interrupted", str(stopped))
        except BaseException as problem:
            kept.end(_state(problem), one_line(str(problem)))
            made = plural(kept.proof.executions, "measurement")
            observer.message(f"proof: {kept.path}, {kept.proof.state} after {made}")
            raise
        else:
            kept.update(state="finished")
        _draw(kept.proof, prover)
    return kept.proof, prover.directory


def _state(problem: BaseException) -> State:
    """What a proof is that ended with this."""
    if isinstance(problem, KeyboardInterrupt):
        return "interrupted"
    return "crashed" if crash.is_bug(problem) or isinstance(problem, CrashError) else "aborted"


class _Kept:
    """A proof as it grows; what changes is in its file at once."""

    def __init__(self, proof: Proof, path: Path) -> None:
        self.proof = proof
        self.path = path

    def add(self, measured: Measurement, versions: Mapping[str, object]) -> None:
        """A measurement; a control takes the place of one with a smaller batch."""
        made, smaller = list(self.proof.measurements), list(self.proof.smaller)
        if made and made[-1].name == measured.name:
            smaller.append(made.pop())
        self.update(measurements=[*made, measured], smaller=smaller, versions=dict(versions))

    def update(self, **fields: object) -> None:
        """Changes fields, and judges what there is.

        Raises:
            OSError: the file cannot be written.
        """
        changed = self.proof.model_copy(update=fields)
        self.proof = changed.model_copy(update={"findings": proof.findings(changed)})
        atomic.write(self.path, self.proof.to_json(indent=1) + "\n")

    def end(self, state: State, reason: str) -> None:
        """It goes no further; what ended it is the first problem to be told, and no other."""
        with contextlib.suppress(Exception):  # such as that of the full disk that has ended it
            self.update(state=state, reason=reason)


def _draw(made: Proof, prover: _Prover) -> None:
    """Draws the memory of the last two executions over time, as NVML saw it."""
    executed, ceiling = prover.executed, made.nvml_ceiling
    drawn = timelines.of_executions(made.phase, executed, prover.directory, ceiling)
    for timeline in drawn[:1]:
        atomic.write(prover.directory / PICTURE, svg.render(timeline))


def _task(plan: Plan, case: Case) -> tuple[str, Task]:
    uses = [use for use in case.uses if use.control is not None]
    for role in ("train", "predict"):
        for use in reversed(uses):
            if plan.tasks[use.key].role == role:
                return use.name, plan.tasks[use.key]
    raise UsageError(f"{case.id} has no phase with a control: there is nothing to compare with")


def _measure(kept: _Kept, prover: _Prover, task: Task, most: int) -> None:
    """The measurements: the control until it is large enough, swapped, both under the ceiling.

    Raises:
        StoppedError: the run was stopped.
        CrashError: the harness itself broke around a phase.
    """

    def measure(name: str, batch_scale: int, ceiling: int | None = None) -> Measurement:
        measured = prover.measure(name, task, batch_scale, ceiling)
        kept.add(measured, prover.versions)
        prover.require_going()  # nothing follows from an execution that was cut short
        return measured

    control = measure("control", 1)
    while (batch_scale := proof.next_batch_scale(control, kept.proof.goal, most)) is not None:
        control = measure("control", batch_scale)
    swapped = measure("swapped", control.batch_scale)
    pages = kept.proof.effect == "pages"
    limits = proof.ceiling_of_pages(control) if pages else proof.ceilings(control, swapped)
    if limits is None:
        return
    kept.update(ceiling=limits[0], nvml_ceiling=limits[1])
    for name in ("control", "swapped"):
        measure(name, control.batch_scale, limits[0])


class _Prover:
    def __init__(
        self, plan: Plan, engine: Engine, settings: Settings, gpu: Gpu, observer: Observer
    ) -> None:
        self.cancel = Stop()
        self.versions: Mapping[str, object] = {}
        (case,) = plan.cases
        # Its controls do not have what a provider sets.
        self._variables = {} if case.way is None else case.way.variables
        self._plan = plan
        self._engine = engine
        self._observer = observer
        self._environments: dict[str, Environment] = {}
        self._runs = 0
        # By name, the last executions: under the ceiling, where there was one.
        self.executed: dict[str, PhaseRecord] = {}
        name = f"proof-{store.new_id(datetime.now(timezone.utc))}"
        self.directory = settings.reports / name
        self.directory.mkdir(parents=True)
        self.claim = leftovers.claim(self.directory)
        resources = engine.resources()
        self._executor = Executor(
            engine=engine,
            settings=settings,
            gpu=gpu,
            run_id=name,
            directory=self.directory,
            observer=observer,
            cancel=self.cancel,
            threads=resources.cores,
            memory=memory_limit(resources, 1),
        )

    def prepare(self, task: Task) -> None:
        """Makes the environments, and runs what comes before the phase."""
        for line in (*self._engine.reap(), *leftovers.reap(self.directory.parent)):
            self._observer.message(f"removed {line}")
        before: list[Task] = []
        while task.input is not None:
            task = self._plan.tasks[task.input]
            before.insert(0, task)
        for flavor in self._plan.needed:
            say = self._observer.message
            self._environments[flavor.id] = waited_for(
                partial(self._engine.prepare, flavor, "gpu", say, self.cancel),
                self.cancel,
                f"making the environment of {flavor.id}",
                say,
            )
        for earlier in before:
            record = self._execute(earlier)
            if record.outcome is not Outcome.COMPLETED:
                outcome = record.outcome.value.replace("_", " ")
                raise EngineError(
                    f"{earlier.key}: {outcome}: {record.reason}; see {self.directory}"
                )

    def measure(
        self, name: str, task: Task, batch_scale: int, ceiling: int | None = None
    ) -> Measurement:
        """Runs the phase once, in a process of its own: peaks are of a process's life."""
        self._runs += 1
        own = self._variables if name == "control" else {}
        kept = {key: value for key, value in task.variables.items() if own.get(key) != value}
        variables = {**kept, scale.VARIABLE: str(batch_scale)}
        if ceiling is not None:
            variables["MEMORY_CEILING"] = str(ceiling)
        record = self._execute(
            replace(
                task,
                key=f"{task.key}.{self._runs}",
                provider="off" if name == "control" else task.provider,
                variables=variables,
            )
        )
        self.executed[name] = record
        self.versions = record.facts.environment.get("versions") or self.versions
        shown = f"{name} under the ceiling" if ceiling is not None else name
        return proof.measurement(shown, record, batch_scale, ceiling)

    def require_going(self) -> None:
        """Raises StoppedError where the run was stopped."""
        if self.cancel.is_set():
            raise StoppedError("the run was stopped")

    def _execute(self, task: Task) -> PhaseRecord:
        self.require_going()
        environment = self._environments[task.flavor]
        execution = self._executor.execute(task, environment)
        if execution.again is not None and execution.gpu_gone is None:
            self._observer.message(f"{task.key}: again: {execution.again}")
            execution = self._executor.execute(task, environment, [execution.attempt()])
        record = execution.record
        self._observer.phase_finished(record)
        if BUG in record.details:
            raise CrashError(
                f"{record.reason}; its traceback is in {self.directory / record.directory}"
            )
        return record
