"""In words, the runs that phases of a run were taken from: how many of each, and where they ran."""

from __future__ import annotations

from collections import Counter

from harness.base.text import flat, one_line, plural
from harness.record.models import RunRecord
from harness.record.origin import SourceRecord

# Of a machine and an engine, what a reader wants to see at once where it differs.
_OF_HOST = ("hostname", "processor", "cores", "kernel", "docker version")


def words(record: RunRecord) -> dict[str, str]:
    """By run that phases were taken from, in one line each: shard, phases, host, GPU, flavors."""
    counts = Counter(phase.taken_from for phase in record.phases if phase.taken_from)
    return {
        one_line(source.id, 100): one_line(_words(source, counts[source.id]), 4000)
        for source in record.sources
    }


def _words(source: SourceRecord, phases: int) -> str:
    parts = [plural(phases, "phase")]
    if source.shard:
        parts.insert(0, f"shard {source.shard}")
    parts += [f"{name} {flat(source.host[name])}" for name in _OF_HOST if source.host.get(name)]
    if source.gpu:
        parts.append(f"GPU {flat(source.gpu.get('name') or source.gpu.get('uuid') or 'unknown')}")
        if source.gpu.get("driver_version"):
            parts.append(f"driver {flat(source.gpu['driver_version'])}")
    if source.state != "finished":
        parts.append(f"it is {source.state}")
    for flavor, facts in source.flavors.items():
        parts += [f"{flavor} {name}: {value}" for name, value in facts.items()]
    return ", ".join(parts)
