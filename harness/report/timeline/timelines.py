"""The timelines of a case's judged phases, from the files beside their logs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.record.models import CaseRecord, PhaseRecord, PhaseUse, RunRecord
from harness.report.timeline import sampled, traced
from harness.report.timeline.execution import Execution
from harness.report.timeline.model import CONTROL, SWAPPED, Timeline


def timelines(
    record: RunRecord,
    case: CaseRecord,
    run_directory: Path,
    phases: Mapping[str, PhaseRecord] | None = None,
) -> list[Timeline]:
    """The timelines of a case, in the order of its phases; none of what was not measured.

    Of a phase on a GPU there are two: as NVML saw it, and the step as the framework recorded it.
    What the files of a run hold never raises: what cannot be used is left out.

    Args:
        phases: those of the record by their keys, for who asks for many cases.
    """
    if phases is None:
        phases = {phase.key: phase for phase in record.phases}
    judged = [use for use in case.phases if use.control is not None] or case.phases[-1:]
    return [
        timeline
        for use in judged
        for timeline in of_executions(use.name, _executed(use, phases), run_directory)
    ]


def of_executions(
    name: str,
    executed: Mapping[str, PhaseRecord],
    run_directory: Path,
    ceiling: int | None = None,
) -> list[Timeline]:
    """The timelines of one phase.

    Args:
        name: of the phase in its case.
        executed: its executions, by "swapped" and "control".
        run_directory: what the phases' directories are below.
        ceiling: bytes that the framework was allowed to take, as NVML sees them.
    """
    root = run_directory.resolve()
    executions = [
        Execution(kind, record, _below(root, record.directory)) for kind, record in executed.items()
    ]
    made = (
        sampled.timeline(name, executions, ceiling),
        traced.timeline(name, executions),
    )
    return [timeline for timeline in made if timeline is not None]


def _executed(use: PhaseUse, phases: Mapping[str, PhaseRecord]) -> dict[str, PhaseRecord]:
    keys = {SWAPPED: use.key, CONTROL: use.control}
    return {name: phases[key] for name, key in keys.items() if key is not None and key in phases}


def _below(root: Path, directory: str) -> Path | None:
    """A phase's directory; None where it is none below the run's."""
    try:
        path = (root / directory).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL; links in a circle
        return None
    return path if path != root and path.is_relative_to(root) else None
