"""One run made of shards: its record, the directories of its phases, and all reports anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.base import directory as directories
from harness.base.error import HarnessError
from harness.base.text import flat, one_line, plural
from harness.base.trees.copy import copy
from harness.comparison import baseline as baselines
from harness.comparison import comparison
from harness.comparison.baseline import Baseline
from harness.history import database
from harness.merge import parts
from harness.record import store
from harness.record.models import (
    BUILTIN,
    CaseRecord,
    FlavorRecord,
    Outcome,
    PhaseRecord,
    RunRecord,
)
from harness.record.origin import ShardRecord, SourceRecord
from harness.report.files import reports
from harness.resumption import takeover
from harness.resumption.source import Source, described


@dataclass(frozen=True)
class Order:
    """What a merge is told.

    Attributes:
        reports: the directory that gets the run.
        command: the command line, for the record.
        baseline: what the run is compared with, or None.
    """

    reports: Path
    command: str = ""
    baseline: Baseline | None = None


def merge(places: Sequence[Path], order: Order) -> tuple[RunRecord, Path]:
    """Makes one run of shards, with a directory of its own that needs none of theirs.

    Verdicts are those of the shards: each case ran in one of them as a whole, and was judged
    by the same harness. A shard that is missing or did not end leaves the run aborted, its cases
    without a verdict.

    Args:
        places: directories of the shards' runs, or of reports that hold some.

    Returns:
        The record, and the run's directory.

    Raises:
        UsageError: they are no shards of one run, or one is there twice.
        HarnessError: one goes on, or the reports cannot be written.
        OSError: the directory cannot be made, or there is no room for copies.
    """
    found = parts.find(places)
    parts.require_one_run(found)
    run_id = store.new_id(datetime.now(timezone.utc))
    record = merged([source.record for source in found], run_id, order.command)
    directory = order.reports / run_id
    directories.require_writable(order.reports, "REPORTS names another directory for reports")
    directory.mkdir()
    try:
        lost = [key for source in found for key in _copy(source, directory)]
        if lost:
            note = f"the files of {plural(len(lost), 'phase')} are not there: {parts.listed(lost)}"
            record.notes.insert(0, note)
        if order.baseline is not None:
            compared = comparison.compare(order.baseline, baselines.of([record]))
            record = record.model_copy(update={"comparison": compared})
        note_of_history = database.note_of(record, order.reports)
        if note_of_history is not None:
            record.notes.append(note_of_history)
        reports.write_all(record, directory)
    except BaseException:
        directories.remove(directory)
        raise
    return record, directory


def merged(records: Sequence[RunRecord], run_id: str, command: str) -> RunRecord:
    """The record of the run that shards are of. Pure.

    Args:
        records: of the shards that there are, by number; checked by `parts.require_one_run`.
    """
    first = records[0]
    shards = {shard.number: record for record in records if (shard := record.shard) is not None}
    whole = first.shard or ShardRecord(number=1, count=1)
    known = {case.id: case for record in records for case in record.cases}
    missing = [name for name in whole.cases if name not in known]
    # Reports name the last note of a run that did not end as the reason.
    notes = [*_notes(records), *_problems(shards, whole, missing)]
    flavors, differing = _flavors(records)
    crashed = any(record.state == "crashed" for record in records)
    unfinished = missing or len(shards) < whole.count
    unfinished = unfinished or any(record.state != "finished" for record in records)
    ended = [record.finished for record in records if record.finished]
    durations = [record.duration_s for record in records if record.duration_s is not None]
    cases = [known.get(name) or _stub(name, whole) for name in whole.cases]
    order = {name: at for at, name in enumerate(dict.fromkeys(case.flavor for case in cases))}
    return RunRecord(
        id=run_id,
        state="crashed" if crashed else "aborted" if unfinished else "finished",
        started=min(record.started for record in records),
        finished=max(ended, default=None),
        # They may have run side by side: it took as long as the longest.
        duration_s=max(durations, default=None),
        engine=first.engine,
        accelerator=first.accelerator,
        provider=first.provider,
        parameters=first.parameters,
        share=first.share,
        strict=first.strict,
        command=command,
        gpu=None if first.gpu is None else _common([record.gpu or {} for record in records]),
        host={
            **_common([record.host for record in records]),
            "hostname": ", ".join(
                dict.fromkeys(flat(record.host.get("hostname", "unknown")) for record in records)
            ),
        },
        notes=notes,
        flavors=sorted(flavors, key=lambda flavor: order.get(flavor.id, len(order))),
        cases=cases,
        phases=_phases(records, cases),
        basis={name: value for name, value in first.basis.items() if name != "durations"},
        options=first.options,
        sources=_sources(records, differing),
    )


def _problems(
    shards: Mapping[int, RunRecord], whole: ShardRecord, missing: Sequence[str]
) -> list[str]:
    """Why the run is not whole; a line for each shard."""
    found = []
    for number in range(1, whole.count + 1):
        lacking = [name for name in missing if whole.cases[name] == number]
        cases = f"{plural(len(lacking), 'case')} without a verdict"
        cases += f": {parts.listed(lacking)}" if lacking else ""
        if number not in shards:
            found.append(f"shard {number}/{whole.count} is missing: {cases}")
        elif shards[number].state != "finished":
            state = one_line(shards[number].state, 30)
            found.append(f"{parts.named(shards[number])} is {state}: {cases}")
        elif lacking:
            found.append(f"{parts.named(shards[number])} is finished, and has {cases}")
    return found


def _notes(records: Sequence[RunRecord]) -> list[str]:
    """Notes of the shards; those that not all have say of which they are."""
    of_all = [note for note in records[0].notes if all(note in other.notes for other in records)]
    own = [
        note if note.startswith("shard ") else f"shard {record.shard.name}: {note}"
        for record in records
        if record.shard is not None
        for note in record.notes
        if note not in of_all
    ]
    return [*of_all, *own]


def _stub(name: str, whole: ShardRecord) -> CaseRecord:
    """A case that no shard has judged; reports show it as an error."""
    flavor, family, scenario, *provider = name.split(".")
    return CaseRecord(
        flavor=flavor,
        family=family,
        scenario=scenario,
        provider=provider[0] if provider else BUILTIN,
        expects=whole.canaries.get(name),
    )


def _phases(records: Iterable[RunRecord], cases: Sequence[CaseRecord]) -> list[PhaseRecord]:
    """All phases, those of a case together, in the order of the cases."""
    place: dict[str, int] = {}
    for number, case in enumerate(cases):
        for use in case.phases:
            for key in use.keys:
                place.setdefault(key, number)
    found = [
        phase.model_copy(update={"taken_from": phase.taken_from or record.id})
        for record in records
        for phase in record.phases
    ]
    return sorted(found, key=lambda phase: place.get(phase.key, len(cases)))


def _flavors(
    records: Sequence[RunRecord],
) -> tuple[list[FlavorRecord], dict[str, dict[str, dict[str, str]]]]:
    """The flavors, and by run and flavor what of its provenance is another than in these.

    One that could not be had somewhere is so in the run: its cases of there have no verdict.
    """
    found: dict[str, FlavorRecord] = {}
    differing: dict[str, dict[str, dict[str, str]]] = {}
    for record in records:
        for flavor in record.flavors:
            known = found.get(flavor.id)
            if known is None:
                found[flavor.id] = flavor
                continue
            other = {
                name: value
                for name, value in flavor.provenance.items()
                if known.provenance.get(name, value) != value
            }
            if other:
                differing.setdefault(record.id, {})[flavor.id] = other
            worse = (flavor.error, flavor.unavailable is not None)
            bad = flavor if worse > (known.error, known.unavailable is not None) else known
            found[flavor.id] = bad.model_copy(
                update={"provenance": {**flavor.provenance, **known.provenance}}
            )
    return list(found.values()), differing


def _common(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all have alike."""
    return {
        name: value
        for name, value in facts[0].items()
        if all(name in other and other[name] == value for other in facts)
    }


def _sources(
    records: Iterable[RunRecord], differing: Mapping[str, dict[str, dict[str, str]]]
) -> list[SourceRecord]:
    found: dict[str, SourceRecord] = {}
    for record in records:
        found.update({entry.id: entry for entry in record.sources})
        found[record.id] = described(record, differing.get(record.id))
    return list(found.values())


def _copy(source: Source, directory: Path) -> list[str]:
    """Copies what phases have left; returns the keys of those that have left nothing there.

    Raises:
        OSError: there is no room.
    """
    lost = []
    groups = set()
    for phase in source.record.phases:
        place = directory / "phases" / phase.key
        try:
            copy(source.directory / "phases" / phase.key, place, takeover.LEFT, link=True)
        except (OSError, HarnessError) as problem:
            directories.remove(place)
            takeover.require_room(problem)
            if phase.outcome is not Outcome.NOT_RUN:
                lost.append(phase.key)
        group = takeover.group_of(phase)
        if group is not None:
            groups.add(group)
    for name in sorted(groups):
        if not (directory / "groups" / name).exists():
            takeover.copy_group(source.directory / "groups" / name, directory / "groups" / name)
    return lost
