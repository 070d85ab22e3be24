"""The shards that are to be one run: found, and checked against each other.

Their records and directories are hostile input: they may have been made anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.base.error import HarnessError, UsageError
from harness.base.text import one_line
from harness.record import journal, store
from harness.record.models import RunRecord
from harness.record.origin import ShardRecord
from harness.resumption import takeover
from harness.resumption.source import Source

_CASE = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+){2,3}")
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,250}")
_LISTED = 5  # names of a message


def find(places: Sequence[Path]) -> list[Source]:
    """The shards in directories of runs, or of reports that hold runs; by their numbers.

    A shard that was gone on with counts once, as the run that went on with it.

    Raises:
        UsageError: a place holds no shard, a record cannot be read, or a shard is there twice.
        HarnessError: a shard goes on.
    """
    found: list[Source] = []
    for place in places:
        runs = list(_runs(place))
        if not runs:
            raise UsageError(f"no run in {place}: name the directories of shards, or their reports")
        found += runs
    went_on = {entry.id for source in found for entry in source.record.sources}
    found = [source for source in found if source.record.id not in went_on]
    for source in found:
        if journal.alive(source.directory):
            raise HarnessError(f"{named(source.record)} goes on: it is merged after its end")
    _require_once(found)
    return sorted(found, key=lambda source: _shard(source.record).number)


def require_one_run(found: Sequence[Source]) -> None:
    """Refuses shards that are not of one and the same run.

    Raises:
        UsageError: they differ in what results follow from, or a record contradicts itself.
    """
    first = found[0].record
    for source in found:
        record, shard = source.record, _shard(source.record)
        other = takeover.differing(_facts(first), _facts(record))
        if other:
            raise UsageError(
                f"{named(record)} and {named(first)} are not of one run:"
                f" they differ in {', '.join(one_line(name, 60) for name in other)}"
            )
        if shard.cases != _shard(first).cases or list(shard.cases) != list(_shard(first).cases):
            raise UsageError(f"{named(record)} and {named(first)} have not the same cases")
        _require_sound(record, shard)
    owners: dict[str, RunRecord] = {}
    for source in found:
        for phase in source.record.phases:
            owner = owners.setdefault(phase.key, source.record)
            if owner is not source.record:
                raise UsageError(
                    f"{named(owner)} and {named(source.record)} both ran"
                    f" {one_line(phase.key, 200)}: they were cut in different ways"
                )


def named(record: RunRecord) -> str:
    """`shard 2/5 (run ...)`."""
    return f"shard {_shard(record).name} (run {one_line(record.id, 100)})"


def listed(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    shown = ", ".join(one_line(name, 200) for name in names[:_LISTED])
    more = len(names) - _LISTED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _runs(place: Path) -> Iterator[Source]:
    """The run of a directory, or each run in it once; a link is none."""
    if (place / store.FILE).exists():
        yield _loaded(place)
        return
    seen: set[str] = set()
    for path in sorted(place.glob(f"*/{store.FILE}")):
        if path.parent.is_symlink():
            continue
        source = _loaded(path.parent)
        # Where links are copied as what they lead to, `latest` is a second copy.
        if source.record.id not in seen and source.record.shard is not None:
            seen.add(source.record.id)
            yield source


def _loaded(directory: Path) -> Source:
    return Source(directory.resolve(), store.load(directory))


def _shard(record: RunRecord) -> ShardRecord:
    """Raises UsageError where a run is of a whole plan."""
    if record.shard is None:
        raise UsageError(
            f"run {one_line(record.id, 100)} is no shard: `harness run --shard 2/5` runs one"
        )
    return record.shard


def _require_once(found: Sequence[Source]) -> None:
    seen: dict[int, Source] = {}
    for source in found:
        other = seen.setdefault(_shard(source.record).number, source)
        if other is not source:
            raise UsageError(
                f"shard {_shard(source.record).name} is there twice:"
                f" {other.directory} and {source.directory}"
            )


def _facts(record: RunRecord) -> dict[str, str]:
    """What is the same in all shards of one run, by name."""
    return {
        "count of shards": str(_shard(record).count),
        "provider": record.provider,
        "strict": str(record.strict),
        **(record.basis or {"basis": f"not in the record of {record.id}"}),
    }


def _require_sound(record: RunRecord, shard: ShardRecord) -> None:
    """Raises UsageError where a record says what no harness writes."""

    def wrong(what: str) -> UsageError:
        return UsageError(one_line(f"the record of {named(record)} is not sound: {what}"))

    if shard.number > shard.count:
        raise wrong("there is no such shard")
    for name, number in shard.cases.items():
        if not _CASE.fullmatch(name) or not 1 <= number <= shard.count:
            raise wrong(f"case {name} of shard {number}")
    for case in record.cases:
        if shard.cases.get(case.id) != shard.number:
            raise wrong(f"it has case {case.id}, which is not of this shard")
    if len({case.id for case in record.cases}) != len(record.cases):
        raise wrong("a case is there twice")
    for phase in record.phases:
        if not _KEY.fullmatch(phase.key) or phase.directory != f"phases/{phase.key}":
            raise wrong(f"phase {phase.key} in {phase.directory}")
    if len({phase.key for phase in record.phases}) != len(record.phases):
        raise wrong("a phase is there twice")
