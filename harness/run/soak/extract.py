"""What of a run should be the same in every repeat of it, as flat values by name. Pure.

A record is large and most of it is text; of a repeat only these values are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from harness.record.checks import Check, Number
from harness.record.facts import Metric, TraceFields
from harness.record.models import PhaseRecord, RunRecord
from harness.report import totals

# Names of a trace's numbers; `step_ms` is a time.
_NO_NUMBERS = ("function", "meter", "compiled_for", "step_ms")
_TRACE = [name for name in TraceFields.model_fields if name not in _NO_NUMBERS]
_OF_ANOTHER_PHASE = ("control_", "reference_")
_SAMPLED = ("nvml_", "pcie_", "host_")

_FactT = TypeVar("_FactT")


@dataclass(frozen=True)
class Extract:
    """What is compared of one run.

    Attributes:
        verdicts: the status of each check, by case and check.
        numbers: the numbers of each check, by case and check; the digests, metrics and traces
            behind them, by phase.
        times, samples: names of numbers that are left out: what was timed, and what was sampled
            beside a GPU. Neither is repeatable by nature.
    """

    verdicts: Mapping[str, Number] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    times: frozenset[str] = frozenset()
    samples: frozenset[str] = frozenset()


def extract(record: RunRecord) -> Extract:
    """Returns what is compared of a run."""
    verdicts: dict[str, Number] = {}
    numbers: dict[str, Number] = {}
    times: set[str] = set()
    samples: set[str] = set()
    on_gpu = _on_gpu(record)
    for case, check in _checks(record):
        place = f"{case}: {check.id.label}"
        verdicts[place] = check.status.value
        for name, value in check.numbers.items():
            own = name.rpartition(".")[2]  # the name of a phase may stand in front of it
            if _timed(own):
                times.add(own)
            elif on_gpu and _sampled(own):
                samples.add(own)
            else:
                numbers[f"{place}: {name}"] = value
    for phase in record.phases:
        numbers.update({f"{phase.key}: {name}": value for name, value in _facts(phase)})
    return Extract(verdicts, numbers, frozenset(times), frozenset(samples))


def _checks(record: RunRecord) -> Iterator[tuple[str, Check]]:
    """Every check with its case's id, and for a canary those behind it."""
    for judged in totals.total(record).cases:
        for check in (*judged.checks, *judged.case.behind):
            yield judged.case.id, check


def _facts(phase: PhaseRecord) -> Iterator[tuple[str, Number]]:
    """The digests, metrics and traces in the log of a phase."""
    facts = phase.facts
    for what, digest in _told_apart((f"{d.of} {d.stage}", d) for d in facts.digests):
        yield f"{what}: sha256", digest.sha256
    for what, metric in _told_apart((_words(metric), metric) for metric in facts.metrics):
        yield f"metric: {what}", metric.value
    for what, trace in _told_apart((f"trace of a {t.function} step", t) for t in facts.traces):
        for name in _TRACE:
            yield f"{what}: {name}", getattr(trace, name)


def _told_apart(facts: Iterable[tuple[str, _FactT]]) -> Iterator[tuple[str, _FactT]]:
    """Facts by name; the second of a name is called `<name> (2)`."""
    seen: Counter[str] = Counter()
    for name, fact in facts:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})", fact


def _words(metric: Metric) -> str:
    epoch = "" if metric.epoch is None else f" of epoch {metric.epoch}"
    return f"{metric.split or ''} {metric.name}{epoch}".strip()


def _on_gpu(record: RunRecord) -> bool:
    return record.accelerator == "gpu" or any(
        (phase.samples or {}).get("gpu_samples") for phase in record.phases
    )


def _timed(name: str) -> bool:
    return name == "seconds" or name.endswith(("_ms", "_s"))


def _sampled(name: str) -> bool:
    for prefix in _OF_ANOTHER_PHASE:
        name = name.removeprefix(prefix)
    return name == "samples" or name.startswith(_SAMPLED)
