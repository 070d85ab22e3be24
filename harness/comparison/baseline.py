"""A baseline: what a comparison needs of a run, or of several of one plan. Small and sorted.

As a file it is for a review: a line for each check, so that a difference shows what has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from harness.base.error import UsageError
from harness.base.text import flat, one_line
from harness.comparison import tolerance
from harness.record.checks import Check, CheckId, Status
from harness.record.model import Model
from harness.record.models import CaseRecord, FlavorRecord, RunRecord

VERSION = 1
VERSION_FIELD = "baseline_version"
"""The field by which a file is known to be a baseline."""

# Of a flavor's provenance: where something lies on one machine, what the packages say as well, and
# the data of whichever phase told it first.
_LEFT_OUT = (
    *("environment", "python found by", "packages file", "packages sha256", "versions"),
    *("image inputs", "base image named by", "data"),
)
_MESSAGE = 300  # characters of a message


class CheckBase(Model):
    """A check.

    Attributes:
        status: in the first of the runs.
        others: further statuses that it has in the others.
        message: where it did not pass.
        numbers: those that are compared, and what their tolerances depend on.
    """

    status: Status
    others: list[Status] = Field(default_factory=list)
    message: str = ""
    numbers: dict[str, float] = Field(default_factory=dict)

    @property
    def seen(self) -> set[Status]:
        """Every status that it has."""
        return {self.status, *self.others}


class CaseBase(Model):
    """A case.

    Attributes:
        batch: of the step that a phase traced, in examples, by the phase's name in the case.
    """

    batch: dict[str, int] = Field(default_factory=dict)
    checks: dict[CheckId, CheckBase]


class Baseline(Model):
    """What a comparison needs of one or more runs.

    Attributes:
        runs: their ids.
        states: of the runs, each once.
        facts: where it ran: of `run`, `gpu`, `host` and each flavor, values by name.
        cases: by id.
    """

    baseline_version: int = VERSION
    runs: list[str]
    states: list[str]
    accelerator: str
    provider: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    facts: dict[str, dict[str, str]] = Field(default_factory=dict)
    cases: dict[str, CaseBase] = Field(default_factory=dict)

    def to_text(self) -> str:
        """The baseline as a file: JSON with a line for each check, the names in order.

        Times are left out where a CPU's load decides them, and peaks are rounded to four digits.
        """
        clean = type(self).model_validate_json(self.to_json())
        document = clean.model_dump(mode="json", exclude={"cases"})
        head = json.dumps(document, indent=1, sort_keys=True).removesuffix("\n}")
        cases = ",\n".join(
            f"  {json.dumps(name)}: {{\n{_case_text(clean.cases[name], self.accelerator)}\n  }}"
            for name in sorted(clean.cases)
        )
        return f'{head},\n "cases": {{\n{cases}\n }}\n}}\n' if cases else f"{head}\n}}\n"


def of(records: Sequence[RunRecord]) -> Baseline:
    """Returns the baseline of one run, or of several of one plan.

    Args:
        records: at least one. Numbers, messages and facts are of the first that has the case.

    Raises:
        UsageError: they are of another accelerator, provider or parameters.
    """
    first = records[0]
    wanted = _setting(first)
    for other in records[1:]:
        if _setting(other) != wanted:
            raise UsageError(
                f"run {one_line(other.id)} is of another accelerator, provider or parameters than"
                f" {one_line(first.id)}: they make no baseline together"
            )
    cases: dict[str, CaseBase] = {}
    for record in records:
        for name, case in _cases(record):
            cases[name] = _joined(cases[name], case) if name in cases else case
    return Baseline(
        runs=[record.id for record in records],
        states=list(dict.fromkeys(record.state for record in records)),
        accelerator=first.accelerator,
        provider=first.provider,
        parameters=first.parameters,
        facts=_facts(first),
        cases=cases,
    )


def _setting(record: RunRecord) -> tuple[str, str, dict[str, Any]]:
    return record.accelerator, record.provider, record.parameters


def _cases(record: RunRecord) -> Iterator[tuple[str, CaseBase]]:
    flavors = {flavor.id: flavor for flavor in record.flavors}
    batches = {
        phase.key: max(found)
        for phase in record.phases
        if (found := [trace.batch for trace in phase.facts.traces if trace.batch is not None])
    }
    for case in record.cases:
        checks = {check.id: _check(check) for check in case.checks}
        yield (
            case.id,
            CaseBase(
                batch={use.name: batches[use.key] for use in case.phases if use.key in batches},
                checks=checks or _without_verdict(case, flavors.get(case.flavor)),
            ),
        )


def _check(check: Check) -> CheckBase:
    passed = check.status is Status.PASSED
    return CheckBase(
        status=check.status,
        message="" if passed else one_line(check.message, _MESSAGE),
        numbers=tolerance.kept(check),
    )


def _without_verdict(case: CaseRecord, flavor: FlavorRecord | None) -> dict[CheckId, CheckBase]:
    """What stands for the checks of a case that has none: its first, skipped or an error."""
    first = CheckId.PHASES_COMPLETE if case.expects is None else CheckId.CAUGHT
    unavailable = None if flavor is None else flavor.unavailable
    broken = unavailable is not None and flavor is not None and flavor.error
    skipped = (case.skip or unavailable) and not broken
    reason = case.skip or unavailable or "the run holds no verdict for this case"
    status = Status.SKIPPED if skipped else Status.ERROR
    return {first: CheckBase(status=status, message=one_line(reason, _MESSAGE))}


def _joined(case: CaseBase, other: CaseBase) -> CaseBase:
    """A case with the statuses that another run has of it."""
    checks = dict(case.checks)
    for name, check in other.checks.items():
        known = checks.get(name)
        if known is None:
            checks[name] = check
        elif check.status not in known.seen:
            others = [*known.others, check.status]
            message = known.message or check.message
            checks[name] = known.model_copy(update={"others": others, "message": message})
    return case.model_copy(update={"checks": checks})


def _facts(record: RunRecord) -> dict[str, dict[str, str]]:
    """Where it ran, as flat values; each package is a fact of its own."""
    parts: dict[str, Mapping[str, Any]] = {
        "run": {"engine": record.engine, "accelerator": record.accelerator}
        | {"provider": record.provider}
        | {f"parameter {name}": value for name, value in record.parameters.items()},
        "gpu": _of_gpus(record),
        "host": {name: value for name, value in record.host.items() if name != "memory_bytes"},
    }
    for flavor in record.flavors:
        facts: dict[str, Any] = dict(flavor.provenance)
        packages = facts.pop("packages", "")
        facts = {name: value for name, value in facts.items() if name not in _LEFT_OUT}
        parts[flavor.id] = facts | dict(_packages(packages))
    return {
        one_line(where, 200): {
            one_line(name, 200): one_line(flat(value), 1000)
            for name, value in sorted(facts.items())
            if value not in (None, "")
        }
        for where, facts in parts.items()
    }


def _of_gpus(record: RunRecord) -> dict[str, Any]:
    """Facts of the GPU; of several each value that one of them has, in order."""
    gpus = record.gpus or [record.gpu or {}]
    return {
        name: ", ".join(dict.fromkeys(flat(gpu[name]) for gpu in gpus if gpu.get(name) is not None))
        if len(gpus) > 1
        else value
        for name, value in gpus[0].items()
    }


def _packages(words: str) -> Iterator[tuple[str, str]]:
    """Each package of a list as `pip freeze` makes it: `package <name>` and its version."""
    for word in words.split():
        name, _, version = word.partition("==")
        yield f"package {name}", version


def _case_text(case: CaseBase, accelerator: str) -> str:
    lines = [f'   "batch": {_compact(case.batch)}'] if case.batch else []
    checks = ",\n".join(
        f"    {json.dumps(name.value)}: {_compact(_check_document(name, check, accelerator))}"
        for name, check in case.checks.items()
    )
    lines.append(f'   "checks": {{\n{checks}\n   }}')
    return ",\n".join(lines)


def _check_document(name: CheckId, check: CheckBase, accelerator: str) -> dict[str, Any]:
    document: dict[str, Any] = check.model_dump(mode="json", exclude_defaults=True)
    numbers = dict(_stable(name, check.numbers, accelerator))
    document.pop("numbers", None)
    return document | ({"numbers": numbers} if numbers else {})


def _stable(
    check: CheckId, numbers: Mapping[str, float], accelerator: str
) -> Iterable[tuple[str, float]]:
    """The numbers without what is another one each time."""
    for name, value in numbers.items():
        kind = tolerance.kind(check, name)
        if kind == "time" and accelerator != "gpu":
            continue
        yield name, float(f"{value:.4g}") if kind in ("peak", "time") else value


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True)
