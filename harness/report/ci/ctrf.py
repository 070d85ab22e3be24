"""A run in the Common Test Report Format (https://ctrf.io): one JSON document, a test for a check.

What could not be judged is `failed`, since a reader may look at nothing else, and what failed as a
known defect says is `skipped`, as in JUnit; `rawStatus` has the check's own word.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from harness.base.text import flat, one_line
from harness.record.checks import Check, CheckId, Status
from harness.record.models import CaseRecord, RunRecord
from harness.report import changes
from harness.report.attachments import STREAMS
from harness.report.junit_xml import duration
from harness.report.origin import gpus
from harness.report.totals import NamedPhase, attempt_words, executions, total

SPECIFICATION = "0.0.0"
_STATUSES = {
    Status.PASSED: "passed",
    Status.FAILED: "failed",
    Status.ERROR: "failed",
    Status.KNOWN: "skipped",
    Status.SKIPPED: "skipped",
}
# Any fixed one does; it makes the ids of reports from those of runs.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:lms-harness:run")


def render(record: RunRecord) -> str:
    """Returns the document; equal records give equal documents."""
    return json.dumps(_document(record), indent=1) + "\n"


def _document(record: RunRecord) -> dict[str, Any]:
    tests = list(_tests(record))
    counts = Counter(test["status"] for test in tests)
    start = _milliseconds(record.started)
    length = round(1000 * duration(record.duration_s))
    document: dict[str, Any] = {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        "reportId": _report_id(record.id),
        "runId": one_line(record.id),
        "generatedBy": "lms-harness",
        "results": {
            "tool": {"name": "lms-harness", "version": metadata.version("lms-harness")},
            "summary": {
                "tests": len(tests),
                **{name: counts[name] for name in ("passed", "failed", "skipped")},
                "pending": 0,
                "other": 0,
                "suites": len({test["suite"][0] for test in tests}),
                "start": start,
                "stop": start + length,
                "duration": length,
                "extra": {"state": one_line(record.state), "strict": record.strict},
            },
            "tests": tests,
            "environment": _environment(record),
        },
    }
    if record.comparison is not None:
        base = record.comparison.base
        document["baseline"] = {
            "reportId": _report_id(base[0] if base else ""),
            "source": changes.base(record.comparison),
            "extra": {"summary": changes.headline(record.comparison)},
        }
    return document


def _tests(record: RunRecord) -> Iterator[dict[str, Any]]:
    phases = {phase.key: phase for phase in record.phases}
    flaky = {
        (change.case, check)
        for change in (record.comparison.flaky if record.comparison else ())
        for check in (change.check, *change.also)
    }
    timed: set[str] = set()  # a phase that several cases share counts once
    for judged in total(record).cases:
        used = executions(judged.case, phases)
        seconds = sum(duration(phase.duration_s) for _, phase in used if phase.key not in timed)
        timed |= {phase.key for _, phase in used}
        for check in judged.checks:
            test = _test(judged.case, check, seconds, used)
            seconds = 0.0
            attempts = _attempts(used) if check is judged.checks[0] else []
            if attempts:
                test |= {"retries": len(attempts), "retryAttempts": attempts}
            if (judged.case.id, check.id) in flaky:
                test["flaky"] = True
            yield test


def _attempts(used: list[NamedPhase]) -> list[dict[str, Any]]:
    """The attempts of a case's phases that do not count; none is a failure, so no test is flaky."""
    found = [(name, phase, attempt) for name, phase in used for attempt in phase.attempts]
    return [
        {
            "attempt": number,
            "status": "other",
            "duration": round(1000 * duration(attempt.duration_s)),
            "message": f"{one_line(name)}: {attempt_words(attempt)}",
            "attachments": [
                {
                    "name": f"{one_line(name)}-attempt-{attempt.number}-{stream}.log",
                    "contentType": "text/plain",
                    "path": f"{one_line(attempt.directory)}/{stream}.log",
                }
                for stream in STREAMS
            ],
        }
        for number, (name, _, attempt) in enumerate(found, 1)
    ]


def _test(case: CaseRecord, check: Check, seconds: float, used: list[NamedPhase]) -> dict[str, Any]:
    message = check.message if check.defect is None else check.defect.text
    test: dict[str, Any] = {
        "testId": f"{one_line(case.id)}.{check.id.value}",
        "name": f"{one_line(case.id)}: {check.id.label}",
        "suite": [one_line(part) for part in (case.flavor, case.family, case.title)],
        "status": _STATUSES[check.status],
        "rawStatus": check.status.value,
        "duration": round(1000 * seconds),
    }
    if check.status is Status.PASSED:
        return test
    test["message"] = one_line(message)
    if case.reproduce:
        test["extra"] = {"reproduce": one_line(case.reproduce)}
    if check.lines:
        test["stdout"] = [one_line(line) for line in check.lines[:100]]
    if check.status in (Status.FAILED, Status.ERROR):
        test["attachments"] = [
            {
                "name": f"{one_line(name)}-{stream}.log",
                "contentType": "text/plain",
                "path": f"{one_line(phase.directory)}/{stream}.log",
            }
            for name, phase in used
            for stream in STREAMS
        ]
    if case.expects is not None and check.id is CheckId.CAUGHT:
        test["tags"] = ["canary"]
    return test


def _environment(record: RunRecord) -> dict[str, Any]:
    facts: dict[str, Any] = {f"lms {name}": value for name, value in record.parameters.items()}
    facts |= gpus.facts(record, "gpu")
    facts |= {f"host {name}": value for name, value in record.host.items()}
    for flavor in record.flavors:
        facts |= {f"{flavor.id} {name}": value for name, value in flavor.provenance.items()}
    return {
        "reportName": one_line(record.command) if record.command else "harness run",
        "osPlatform": "linux",
        "testEnvironment": one_line(
            f"{record.engine}, {record.accelerator}, provider {record.provider}"
        ),
        "extra": {
            one_line(name): one_line(flat(value))
            for name, value in facts.items()
            if value not in (None, "")
        },
    }


def _report_id(run: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, one_line(run)))


def _milliseconds(started: str) -> int:
    """A time in ISO 8601, since the epoch; 0 where it is none."""
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(started.replace("Z", "+00:00"))
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return round(1000 * zoned.timestamp())
    return 0
