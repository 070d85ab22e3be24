"""A shell where a phase of a finished run ran, with the input that it had."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from harness.engine import leftovers
from harness.engine.protocol import Engine
from harness.measure.gpu import Gpu
from harness.plan.plan import Plan
from harness.record.models import Outcome, PhaseRecord, RunRecord
from harness.run import artifacts
from harness.run.phase import launch_of
from harness.run.settings import Settings, memory_limit


def phase_to_enter(record: RunRecord) -> PhaseRecord | None:
    """The phase that failed; where none did, the last one that is not a control."""
    ran = [phase for phase in record.phases if phase.outcome is not Outcome.NOT_RUN]
    failed = [phase for phase in ran if phase.outcome is not Outcome.COMPLETED]
    if failed:
        return failed[0]
    measured = [phase for phase in ran if phase.control_of is None]
    return measured[-1] if measured else None


def enter(
    plan: Plan,
    record: RunRecord,
    directory: Path,
    engine: Engine,
    settings: Settings,
    gpus: Sequence[Gpu],
) -> int:
    """Opens the shell of `phase_to_enter`; returns the shell's exit code.

    The phase's input is laid out as it was, for as long as the shell is there; its output
    directory is another one, so that the run's artifacts stay what they were. For a phase that
    serves it is the server's directory, and its client is run by hand in it: the engine prints how.
    """
    phase = phase_to_enter(record)
    if phase is None:
        return 0
    # Where the phase ran, of several.
    gpu = next((gpu for gpu in gpus if gpu.uuid == phase.gpu), gpus[0] if gpus else None)
    claim = leftovers.claim(directory)
    try:
        return _enter(plan, phase, record.id, directory, engine, settings, gpu)
    finally:
        engine.close()
        leftovers.give_up(claim)


def _enter(
    plan: Plan,
    phase: PhaseRecord,
    run_id: str,
    directory: Path,
    engine: Engine,
    settings: Settings,
    gpu: Gpu | None,
) -> int:
    task = plan.tasks[phase.key]
    beside, input_directory = directory / "shell" / phase.key, None
    artifacts.remove(beside)
    (beside / "artifacts").mkdir(parents=True)
    if task.input is not None:
        input_directory = beside / "input"
        saved = directory / "phases" / task.input / "artifacts"
        artifacts.copy_read_only(saved, input_directory)
    environment = engine.prepare(
        next(flavor for flavor in plan.environments if flavor.id == task.flavor),
        "virtual" if gpu is None else "gpu",
        print,
        threading.Event(),
    )
    launch = launch_of(
        task,
        environment,
        settings,
        run_id,
        gpu,
        input_directory,
        beside,
        threads=None,
        memory=memory_limit(engine.resources(), 1),
    )
    print(f"shell of {phase.key} ({phase.outcome.value}); leave it with `exit`")
    try:
        return engine.shell(launch)
    finally:
        artifacts.settle(launch.output)
