"""JUnit XML of a run: one suite per flavor, made for Jenkins and valid under junit-10.xsd.

Suite, class and test names are the keys of Jenkins' history, so nothing that changes from run to
run is in them. What Jenkins reads is documented in docs/reports.md.
"""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base import atomic
from harness.base.text import clean, clip, defuse, distinct, flat, numbers, one_line, plural
from harness.record.checks import Check, Status
from harness.record.models import CaseRecord, FlavorRecord, PhaseRecord, RunRecord
from harness.report import changes, junit_xml
from harness.report.attachments import LogFiles, NoLogFiles
from harness.report.junit_xml import Entry
from harness.report.origin import gpus, runs
from harness.report.reading import Reading
from harness.report.totals import (
    Judged,
    NamedPhase,
    attempt_words,
    broke,
    ending,
    executions,
    judge,
    phase_behind,
    tried_again,
)

# Jenkins keeps the first and last 500 characters of a passing case's output and looks for
# attachments in what it kept; an output below their sum is kept whole.
PASSING_CHARACTERS = 980
FAILING_LINES = 20
PROPERTY_CHARACTERS = 2_000
# Jenkins reads a suite into memory. Beyond this, cases of a suite name their log instead.
TAILS_PER_SUITE = 8 * 1024 * 1024

_ID = re.compile(r"[a-z0-9_-]{1,64}\Z")


def write(record: RunRecord, run_directory: Path, reading: Reading | None = None) -> list[Path]:
    """Writes `junit/<flavor>.xml` below the run directory, each whole or not at all.

    A flavor whose report cannot be rendered gets a suite with one error that says why. Reports of
    flavors that the record does not hold are removed: Jenkins would read them too.

    Args:
        reading: of that record and directory, where other reports share it.

    Raises:
        OSError: a file cannot be written.
    """
    directory = run_directory / "junit"
    reading = reading or Reading(record, run_directory)
    written = []
    for flavor in flavors(record):
        try:
            with _spared():
                content = render(record, flavor, reading.files, reading.phases)
        except Exception as error:  # the report of a run that took hours must not be lost
            content = _fallback(flavor, error)
        written.append(atomic.write(directory / f"{_file_name(flavor)}.xml", content))
    for stale in set(directory.glob("*.xml")) - set(written):
        stale.unlink()
    return written


@contextlib.contextmanager
def _spared() -> Iterator[None]:
    """Spares the garbage collector what is there already.

    A suite has so many elements that the collector searches the whole heap again and again, and
    the record of 10,000 cases is a million objects of which none is garbage: that would be
    nearly half of the time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def flavors(record: RunRecord) -> list[str]:
    """Returns the ids of the suites: the record's flavors, then any that only a case names."""
    ids = dict.fromkeys(flavor.id for flavor in record.flavors)
    ids.update(dict.fromkeys(case.flavor for case in record.cases))
    return list(ids)


def render(
    record: RunRecord,
    flavor: str,
    logs: LogFiles | None = None,
    phases: Mapping[str, PhaseRecord] | None = None,
) -> bytes:
    """Returns the JUnit document of one flavor.

    Args:
        logs: where logs are read and attached from; without it the report has neither.
        phases: the run's phases by key, where they are at hand.
    """
    known = next((entry for entry in record.flavors if entry.id == flavor), None)
    return junit_xml.document(
        flavor,
        _Suite(record, flavor, known, logs or NoLogFiles(), phases).entries(),
        hostname=str(record.host.get("hostname") or "unknown"),
        started=record.started,
        properties=_properties(record, known),
    )


class _Suite:
    """The test cases of one flavor, in the record's order."""

    def __init__(
        self,
        record: RunRecord,
        flavor: str,
        known: FlavorRecord | None,
        logs: LogFiles,
        phases: Mapping[str, PhaseRecord] | None,
    ) -> None:
        self._record = record
        self._flavor = flavor
        self._known = known
        self._logs = logs
        self._phases = phases or {phase.key: phase for phase in record.phases}
        compared = record.comparison
        self._failing = {change.case: change for change in (compared.failing if compared else ())}
        self._timed: set[str] = set()  # phases whose time is in the report already
        self._tails = 0  # characters of logs in the report so far

    def entries(self) -> list[Entry]:
        cases = [case for case in self._record.cases if case.flavor == self._flavor]
        tests = [test for case in cases for test in self._case(case)]
        if self._record.state != "finished":  # what it has not judged must not look green
            state, notes = self._record.state, self._record.notes
            reason = f"the run is {state}: cases may be missing from this report"
            if state in ("aborted", "crashed") and notes:
                reason += f"; {notes[-1]}"
            tests.append(self._note("run finished", Status.ERROR, reason))
        known = self._known
        if not cases:  # Jenkins ignores a suite that is empty
            reason = (known.unavailable if known else "") or "the run holds no case of this flavor"
            status = Status.ERROR if known and known.error else Status.SKIPPED
            tests.append(self._note("flavor available", status, reason))
        return tests

    def _note(self, name: str, status: Status, reason: str) -> Entry:
        """A test case that stands for something other than a check of a case."""
        reason = one_line(reason)
        entry = Entry(self._flavor, name, output=defuse(reason))
        _judge(entry, status, reason, reason)
        return entry

    def _case(self, case: CaseRecord) -> Iterator[Entry]:
        judged = judge(case, self._known, self._record.state)
        phases = executions(case, self._phases)
        seconds = sum(self._seconds(phase) for _, phase in phases)
        told: set[str] = set()  # phases whose log's tail is in an earlier check of this case
        name = case.id
        for check in judged.checks:
            test = Entry(name, check.id.label, seconds=seconds)
            seconds = 0.0
            if check.status in (Status.FAILED, Status.ERROR):
                self._not_passed(test, judged, check, phases, told)
            else:
                self._passed(test, judged, check, phases)
            yield test

    def _passed(self, test: Entry, judged: Judged, check: Check, phases: list[NamedPhase]) -> None:
        """A check that is no problem of this run: so short that Jenkins keeps it whole."""
        message = check.message if check.defect is None else check.defect.text
        _judge(test, check.status, one_line(message), "")
        verdict = _verdict(check, 300)
        foot = [verdict]
        if check is judged.checks[0]:
            foot += [clip(line, 300) for line in self._where(phases)]
        if judged.case.reproduce:
            foot.append(f"reproduce: {one_line(judged.case.reproduce, 300)}")
        room = PASSING_CHARACTERS - sum(_units(part) + 1 for part in foot)
        lines: list[str] = []
        for line in distinct(check.lines):
            line = one_line(line, 200)
            room -= _units(line) + 1
            if room < PASSING_CHARACTERS // 3:  # what is left is for the attachments
                break
            lines.append(line)
        if len(check.lines) > len(lines):
            lines.append(f"(and {plural(len(check.lines) - len(lines), 'more line')})")
        text = defuse("\n".join([*lines, *foot]))
        # The logs of a passing case are attached once, not to each of its checks.
        if check.status in (Status.PASSED, Status.KNOWN) and check is judged.checks[0]:
            room = PASSING_CHARACTERS - _units(text)
            for marker in self._attachments(judged.case, phases):
                room -= _units(marker) + 1
                if room < 0:
                    break
                text += f"\n{marker}"
        test.output = text

    def _not_passed(
        self,
        test: Entry,
        judged: Judged,
        check: Check,
        phases: list[NamedPhase],
        told: set[str],
    ) -> None:
        """A failed check, or one that could not be judged: all that explains it."""
        case = judged.case
        lines = [one_line(line) for line in distinct(check.lines)[:FAILING_LINES]]
        if len(check.lines) > len(lines):
            lines.append(f"(and {plural(len(check.lines) - len(lines), 'more line')})")
        message = one_line(check.message)
        body = [message]
        if check.numbers:
            body.append(f"numbers: {one_line(numbers(check.numbers), 4000)}")
        body += [f"{name}: {ending(phase)}" for name, phase in phases if broke(phase)]
        body += self._where(phases) if check is judged.checks[0] else []
        change = self._failing.get(case.id)
        if change is not None and check.id in (change.check, *change.also):
            body.append(f"baseline: this check {changes.was(change)}")
        _judge(test, check.status, message, "\n".join([*body, *lines]))

        parts = [*lines, _verdict(check, 1000), *body[1:]]
        if judged.canary:
            parts += [f"behind it: {_verdict(behind, 300)}" for behind in case.behind]
        if case.reproduce:
            parts.append(f"reproduce: {one_line(case.reproduce, 2000)}")
        parts += self._tail(check, phases, told)
        text = defuse("\n".join(parts))
        test.output = "\n".join([text, *self._attachments(case, phases)])

    def _where(self, phases: list[NamedPhase]) -> list[str]:
        """The attempts of a case's phases that do not count, and of several GPUs which each had."""
        lines = [
            f"{name}: {attempt_words(attempt)}"
            for name, phase in phases
            for attempt in phase.attempts
        ]
        if self._record.gpus:
            had = [f"{name} on {one_line(phase.gpu, 80)}" for name, phase in phases if phase.gpu]
            lines += [", ".join(had)] if had else []
        return lines

    def _seconds(self, phase: PhaseRecord) -> float:
        """The phase's duration, where no earlier case of the suite has counted it."""
        if phase.key in self._timed:
            return 0.0
        self._timed.add(phase.key)
        return junit_xml.duration(phase.duration_s)

    def _tail(self, check: Check, phases: list[NamedPhase], told: set[str]) -> list[str]:
        behind = phase_behind(check, phases)
        if behind is None or behind[1].key in told:
            return []
        name, phase = behind
        if self._tails > TAILS_PER_SUITE:
            return [f"the log of {name} is in {one_line(phase.directory)}"]
        log, lines = self._logs.tail(phase)
        if not lines:
            return []
        told.add(phase.key)
        self._tails += sum(len(line) for line in lines)
        return [f"--- {name}: the end of {one_line(log)} ---", *lines, "--- end ---"]

    def _attachments(self, case: CaseRecord, phases: list[NamedPhase]) -> Iterator[str]:
        # The last phase comes first, it is the one that is judged; controls come last.
        own = [named for named in phases if named[1].control_of is None]
        controls = [named for named in phases if named[1].control_of is not None]
        for path in self._logs.attachments(case.id, [*own[::-1], *controls]):
            if clean(path) == path and "\n" not in path and "]]" not in path:
                yield f"[[ATTACHMENT|{path}]]"


def _judge(entry: Entry, status: Status, message: str, text: str) -> None:
    """Puts the verdict into a test case."""
    if status is Status.FAILED:
        entry.kind = "failure"
    elif status is Status.ERROR:
        entry.kind = "error"
    elif status in (Status.SKIPPED, Status.KNOWN):  # JUnit has no word for what fails as expected
        entry.kind = "skipped"
    entry.message, entry.text = message, text


def _verdict(check: Check, limit: int) -> str:
    return f"{check.id.label}: {check.status.value}: {one_line(check.message, limit)}"


def _properties(record: RunRecord, known: FlavorRecord | None) -> dict[str, str]:
    """Where the verdicts come from: the flavor's provenance, and the facts of the run."""
    facts: dict[str, Any] = dict(known.provenance) if known else {}
    if known:
        facts["flavor.description"] = known.description
        facts["flavor.unavailable"] = known.unavailable
    for name in ("id", "state", "engine", "accelerator", "provider", "started", "command"):
        facts[f"run.{name}"] = getattr(record, name)
    facts.update({f"lms.{name}": value for name, value in record.parameters.items()})
    facts.update(gpus.facts(record, "gpu", "."))
    facts.update({f"host.{name}": value for name, value in record.host.items()})
    facts["run.shard"] = record.shard and record.shard.name
    facts.update({f"source.{run}": words for run, words in runs.words(record).items()})
    again = tried_again(record.phases)
    if again:
        facts["run.tried_again"] = len(again)
    if record.comparison is not None:
        facts["baseline.runs"] = ", ".join(record.comparison.base)
        facts["baseline.comparison"] = changes.headline(record.comparison)
    facts.update({f"note.{index}": note for index, note in enumerate(record.notes, 1)})
    return {
        one_line(str(name), 200): one_line(flat(value), PROPERTY_CHARACTERS)
        for name, value in facts.items()
        if value not in (None, "")
    }


def _fallback(flavor: str, error: Exception) -> bytes:
    """A suite with one error that says why there is no other."""
    problem = one_line(f"the report of {one_line(flavor)} could not be rendered: {error!r}")
    output = f"{defuse(problem)}\nthe verdicts are in record.json"
    return junit_xml.one_error(flavor, "report rendered", problem, output)


def _units(text: str) -> int:
    """The length as Jenkins counts it: in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _file_name(flavor: str) -> str:
    """The id; an id that is not safe as a file name is replaced by its characters in hex."""
    return flavor if _ID.match(flavor) else f"flavor-{flavor.encode('utf-8', 'replace').hex()[:64]}"
