"""Which phases of an earlier run stand for those of another one, and their directories."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base import directory as directories
from harness.base.error import HarnessError
from harness.base.text import one_line, plural
from harness.base.trees.copy import copy, whole
from harness.record.models import Outcome, PhaseRecord, RunRecord
from harness.record.origin import SourceRecord
from harness.resumption import source as sources
from harness.resumption.source import Source

_LOGS = ("stdout.log", "stderr.log")
# Of a phase's directory: its input goes with its end, and artifacts that nobody needs go like this.
LEFT = frozenset({"input", "removed", "client/input"})
_OF_GROUP = frozenset({"input", "output"})


@dataclass(frozen=True)
class Takeover:
    """What a run takes over.

    Attributes:
        records: of the phases, by key, as the record of the run has them.
        sources: the runs that executed them.
        note: how many they are, and why others are not, in one line.
    """

    records: Mapping[str, PhaseRecord]
    sources: tuple[SourceRecord, ...]
    note: str


@dataclass(frozen=True)
class Held:
    """A completed phase of an earlier run.

    Attributes:
        place: its directory.
        executor: id of the run that executed it.
    """

    record: PhaseRecord
    place: Path
    executor: str


def hold(
    source: Source, inputs: Mapping[str, str | None], identities: Mapping[str, str]
) -> dict[str, Held]:
    """The completed phases of a run and of those that it went on with itself, by key.

    Of several executions the latest counts that is of the same thing. One that read what
    another execution of its input had left than the one that counts is none.

    Args:
        inputs, identities: see `choose`.
    """
    runs = [(entry, entry.phases) for entry in source.chain]
    found: dict[str, Held] = {}
    for key, above in inputs.items():
        candidates = []
        for entry, phases in runs:
            phase, before = phases.get(key), None if above is None else phases.get(above)
            if phase is None or phase.outcome is not Outcome.COMPLETED:
                continue
            if above is not None:
                read = None if before is None else before.taken_from or entry.record.id
                if above not in found or found[above].executor != read:
                    continue
            place = entry.directory / "phases" / key
            candidates.append(Held(phase, place, phase.taken_from or entry.record.id))
        same = [one for one in candidates if one.record.identity == identities.get(key)]
        if candidates:
            found[key] = (same or candidates)[0]
    return found


def choose(
    inputs: Mapping[str, str | None],
    identities: Mapping[str, str],
    phases: Mapping[str, PhaseRecord],
    logs_whole: Callable[[str], bool],
    artifacts_there: Callable[[str], bool],
) -> dict[str, str]:
    """Why phases of a plan cannot be taken over, by key; those that can are not in it. Pure.

    What was read from artifacts that are made anew was read from other ones: results of two
    executions of a training differ on a GPU, and what is restored is compared with what was saved.
    So a phase runs again if its input does, and the input does if its artifacts are gone and a
    phase that reads them runs.

    Args:
        inputs: of every task of the plan the key of its input, or None; inputs come before readers.
        identities: of the tasks.
        phases: of the earlier run, by key.
    """
    why: dict[str, str] = {}
    for key in inputs:
        phase = phases.get(key)
        if phase is None or phase.outcome is not Outcome.COMPLETED:
            why[key] = "not completed there"
        elif not phase.identity or phase.identity != identities.get(key):
            why[key] = "other than there"
        elif not logs_whole(key):
            why[key] = "without all of its files there"
    changed = True
    while changed:
        changed = False
        for key, above in inputs.items():
            if above is None:
                continue
            if above in why and key not in why:
                why[key], changed = "after one that runs again", True
            elif key in why and above not in why and not artifacts_there(above):
                why[above], changed = "needed, its artifacts are gone there", True
    return why


def take_over(
    source: Source,
    directory: Path,
    inputs: Mapping[str, str | None],
    identities: Mapping[str, str],
    basis: Mapping[str, str],
) -> Takeover:
    """Takes over what can be: copies the directories of phases into another run's directory.

    Files become hard links where the file system has them, so that both directories stay whole
    whichever of them is removed.

    Args:
        directory: of the run that takes over; it has no directory of these phases yet.
        inputs, identities: see `choose`.
        basis: of the run that takes over.

    Raises:
        OSError: there is no room for copies.
    """
    held = hold(source, inputs, identities)
    own = {key: found.record for key, found in held.items()}
    here = directory / "phases"
    broken: set[str] = set()  # what was whole, and could not be copied
    copied: set[str] = set()
    while True:
        why = choose(
            inputs,
            identities,
            own,
            lambda key: key not in broken and (key in copied or whole(held[key].place, *_LOGS)),
            lambda key: whole((here / key if key in copied else held[key].place) / "artifacts"),
        )
        left = [key for key in inputs if key not in why and key not in copied]
        if not left:
            break
        for key in left:
            try:
                copy(held[key].place, here / key, LEFT, link=True)
            except (OSError, HarnessError) as problem:
                directories.remove(here / key)
                require_room(problem)
                broken.add(key)
            else:
                copied.add(key)
    for key in copied & why.keys():
        directories.remove(here / key)
    records = {
        key: own[key].model_copy(
            update={
                "taken_from": held[key].executor,
                "directory": f"phases/{key}",
            }
        )
        for key in inputs
        if key not in why
    }
    _copy_groups(source, directory, records.values())
    return Takeover(records, _sources(source, records), _note(source.record, why, records, basis))


def group_of(record: PhaseRecord) -> str | None:
    """The group that a phase ran in, if its name is one of a directory."""
    name = record.details.get("group")
    safe = isinstance(name, str) and name not in ("", ".", "..") and "/" not in name
    return name if safe and "\0" not in str(name) else None


def copy_group(source: Path, target: Path) -> None:
    """Copies the directory of a group, as far as it can be: it is there for the reader alone."""
    try:
        copy(source, target, _OF_GROUP, link=True)
    except (OSError, HarnessError) as problem:
        directories.remove(target)
        require_room(problem)


def require_room(problem: Exception) -> None:
    """Raises what says that the own disk is full: it is not the fault of what is copied."""
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        raise problem


def _copy_groups(source: Source, target: Path, records: Collection[PhaseRecord]) -> None:
    for name in sorted({name for record in records if (name := group_of(record)) is not None}):
        for entry in source.chain:
            if not (target / "groups" / name).exists():
                copy_group(entry.directory / "groups" / name, target / "groups" / name)


def _sources(source: Source, records: Mapping[str, PhaseRecord]) -> tuple[SourceRecord, ...]:
    named = {record.taken_from for record in records.values()}
    found: dict[str, SourceRecord] = {}
    for entry in source.chain:
        for known in (sources.described(entry.record), *entry.record.sources):
            found.setdefault(known.id, known)
    return tuple(entry for entry in found.values() if entry.id in named)


def _note(
    record: RunRecord,
    why: Mapping[str, str],
    records: Mapping[str, PhaseRecord],
    basis: Mapping[str, str],
) -> str:
    total = len(why) + len(records)
    text = f"{len(records)} of {plural(total, 'phase')} taken over from run {record.id}"
    if why:
        counts = Counter(why.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        text += f"; {plural(len(why), 'phase')} to run: {reasons}"
        other = differing(record.basis, basis)
        if counts["other than there"]:
            what = ", ".join(other) if other else "environment, GPU, processor or threads"
            text += f" (differs: {what})"
    return one_line(text)


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names under which two bases do not have the same."""
    return [name for name in dict.fromkeys((*one, *other)) if one.get(name) != other.get(name)]
