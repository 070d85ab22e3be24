"""A group: several phases as one launch, of a script that forks each of them.

What engines run is a launch like any other. What is known of the phases is what that script
(`scenarios/forks/group.py`) says, which runs beside them as the same user: it is hostile input.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.engine import ending, log_file
from harness.engine.protocol import Exit, Launch
from harness.record.models import Outcome

SCRIPT = "forks/group.py"
_FILE = "group.json"
_START_S = 180.0  # an import from a cold disk
_STOP_S = 30.0  # for each phase that has to be stopped, with all it has left
_LINE_LIMIT = 4096  # bytes of a line that are looked at


@dataclass(frozen=True)
class End:
    """How a phase of a group ended.

    Attributes:
        began_s, seconds: since the group's start, and since the phase's, where it is told.
    """

    exit: Exit
    began_s: float | None = None
    seconds: float | None = None


def launch_of(phases: Sequence[Launch], key: str, directory: Path) -> Launch:
    """The launch of a group; lays out its request.

    Args:
        phases: their launches, all of one environment and run; the input of the third is `2` in
            the group's own.
        key: the group's name.
        directory: the group's, with `input` and an empty `output`.

    Raises:
        OSError: the request cannot be written.
    """
    first = phases[0]
    common = dict(first.variables.items())
    for phase in phases:
        common = {
            name: value for name, value in common.items() if phase.variables.get(name) == value
        }
    request = {
        "preload": first.environment.preload,
        "log_limit": log_file.LIMIT,
        "left_out": log_file.LEFT_OUT,
        "phases": [
            {
                "script": phase.script,
                "variables": dict(phase.variables),
                "input": phase.input is not None,
                "deadline_s": phase.deadline_s,
            }
            for phase in phases
        ],
    }
    (directory / "input" / _FILE).write_text(json.dumps(request, indent=1), encoding="utf-8")
    return replace(
        first,
        key=key,
        provider=next((phase.provider for phase in phases if phase.provider), None),
        script=SCRIPT,
        variables=common,
        input=directory / "input",
        output=directory / "output",
        logs=directory,
        deadline_s=_START_S + sum(phase.deadline_s + _STOP_S for phase in phases),
    )


def log(directory: Path, number: int, stream: str) -> Path:
    """Where a phase of a group has left a log."""
    return directory / "output" / f"{number}.{stream}"


def artifacts(directory: Path, number: int) -> Path:
    """Where a phase of a group has left its artifacts."""
    return directory / "output" / str(number)


def ends(phases: Sequence[Launch], said: Path, group: Exit) -> list[End]:
    """How each phase ended, by what the group has said.

    A phase of which it has said nothing ended as the group did.

    Args:
        said: the group's standard output.
        group: how it ended itself.
    """
    told: Mapping[int, list[Mapping[str, Any]]] = {}
    with contextlib.suppress(OSError), said.open("rb") as stream:
        told = _statuses(iter(lambda: stream.readline(_LINE_LIMIT), b""), len(phases))
    found = []
    for number, phase in enumerate(phases):
        statuses = told.get(number, [])
        if len(statuses) > 1:  # who knows the key can write one, and no more than that
            end = End(Exit(Outcome.ENGINE_ERROR, None, "its group has told its end twice"))
        else:
            end = _end(statuses[0], phase) if statuses else End(_as_the_group(group))
        found.append(replace(end, exit=replace(end.exit, details=group.details)))
    return found


def _statuses(lines: Iterator[bytes], count: int) -> dict[int, list[Mapping[str, Any]]]:
    """The first two statuses of each phase; a line without the key is none."""
    key = _object(next(lines, b"")).get("key")
    found: dict[int, list[Mapping[str, Any]]] = {}
    if not isinstance(key, str) or not key.isalnum():
        return found
    needle = key.encode()
    for line in lines:
        status = _object(line) if needle in line else {}
        number = status.get("phase")
        if status.get("key") == key and isinstance(number, int) and 0 <= number < count:
            of_phase = found.setdefault(number, [])
            if len(of_phase) < 2:
                of_phase.append(status)
    return found


def _object(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _end(status: Mapping[str, Any], phase: Launch) -> End:
    began, seconds = (_number(status.get(name)) for name in ("began", "seconds"))
    return End(_exit(status, phase), began, seconds)


def _exit(status: Mapping[str, Any], phase: Launch) -> Exit:
    code, number, stopped = (status.get(name) for name in ("code", "signal", "stopped"))
    if stopped == "deadline":
        return Exit(Outcome.TIMED_OUT, None, f"still running after {phase.deadline_s:g} s")
    if isinstance(number, int) and 0 < number < signal.NSIG:
        oom = number == signal.SIGKILL and status.get("oom")
        return ending.exit_of(-number, {}, "the memory limit of its group" if oom else "")
    if not isinstance(code, int) or not 0 <= code < 256:
        reason = " ".join(str(status.get("error", "nothing of its exit is told")).split())
        return Exit(Outcome.ENGINE_ERROR, None, f"could not run the phase: {reason[:200]}")
    return ending.exit_of(code, {})


def _as_the_group(group: Exit) -> Exit:
    """The end of a phase that the group had not come to, or not to the end of."""
    if group.outcome is Outcome.COMPLETED:
        return Exit(Outcome.ENGINE_ERROR, None, "its group has not said how it ended")
    # What forks phases is the harness' own: its failure is not that of what is tested.
    failed = group.outcome is Outcome.FAILED
    outcome = Outcome.ENGINE_ERROR if failed else group.outcome
    reason = f"its group ended: {group.reason or group.outcome.value}"
    return Exit(outcome, None, reason, transient=group.transient)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 10**7 else None
