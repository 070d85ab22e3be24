"""What a summary of a run shows, as plain facts: verdict, problems, tables and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.base.error import EXIT_CRASHED, EXIT_FAILED, EXIT_PASSED
from harness.base.text import clip, duration, flat, mib, one_line, plural
from harness.record.checks import Check, CheckId, Status
from harness.record.models import CaseRecord, PhaseRecord, RunRecord
from harness.report.origin import gpus, runs
from harness.report.totals import (
    Judged,
    Totals,
    attempt_words,
    broke,
    bugs,
    ending,
    executions,
    exit_code,
    total,
    tried_again,
)

WORDS = {
    Status.PASSED: "passed",
    Status.FAILED: "FAILED",
    Status.ERROR: "not judged",
    Status.KNOWN: "known",
    Status.SKIPPED: "skipped",
}
_VIRTUAL = (
    "no GPU was used: a second logical CPU device stood in for it (virtual accelerator). That"
    " proves that the swap operations ran and took tensors out of the accelerator's peak, by the"
    " framework's own records; it proves nothing about GPU memory, PCIe or CUDA"
)


@dataclass(frozen=True)
class Headline:
    """The verdict of the run: a word, then checks and cases in numbers."""

    word: str
    checks: str
    cases: str


@dataclass(frozen=True)
class Complaint:
    """Checks of a case that did not pass, for one and the same reason."""

    checks: str
    message: str
    lines: list[str]


@dataclass(frozen=True)
class NotPassed:
    """A case that did not pass, and what explains it."""

    word: str
    case: CaseRecord
    complaints: list[Complaint]
    endings: list[str]
    directories: list[str]


@dataclass(frozen=True)
class Seen:
    """A check of a case that failed as a known defect says."""

    case: str
    check: str
    message: str


@dataclass(frozen=True)
class Known:
    """A known defect, and where it was seen."""

    text: str
    seen: list[Seen]


@dataclass(frozen=True)
class Row:
    """A case in its flavor's table.

    Attributes:
        again: a phase of it was tried again.
    """

    family: str
    scenario: str
    verdict: str
    score: str
    swapping: str
    short: str
    time: str
    again: bool

    @property
    def bad(self) -> bool:
        """Whether the reader has to look at it."""
        return self.verdict in ("FAILED", "not judged")


@dataclass(frozen=True)
class Group:
    """A flavor with its cases."""

    flavor: str
    score: str
    unavailable: str | None
    error: bool
    rows: list[Row]


@dataclass(frozen=True)
class Skip:
    """Cases that were skipped for one reason."""

    cases: str
    reason: str
    where: str


@dataclass(frozen=True)
class Again:
    """A phase that was tried again: its key, and what became of the attempts before."""

    phase: str
    attempts: list[str]
    directories: list[str]


@dataclass(frozen=True)
class Overview:
    """All that a summary shows."""

    headline: Headline
    where: str
    notes: list[str]
    again: list[Again]
    problems: list[NotPassed]
    known: list[Known]
    groups: list[Group]
    skips: list[Skip]
    facts: list[tuple[str, str]]


def gather(
    record: RunRecord,
    counts: Totals | None = None,
    phases: Mapping[str, PhaseRecord] | None = None,
) -> Overview:
    """Returns what the summary of a run shows.

    Args:
        counts: over the run, where they are at hand.
        phases: the run's phases by key, where they are at hand.
    """
    counts = counts or total(record)
    phases = phases or {phase.key: phase for phase in record.phases}
    notes = [one_line(note) for note in record.notes]
    notes += [
        f"flavor {flavor.id} is not available: {one_line(flavor.unavailable)}"
        for flavor in record.flavors
        if flavor.unavailable is not None
    ]
    notes += [
        f"{one_line(phase.reason)}; the traceback is in {one_line(phase.directory)}/details.json"
        for phase in bugs(record)
    ]
    if record.accelerator == "virtual" and not any("virtual accelerator" in n for n in notes):
        notes.append(_VIRTUAL)
    return Overview(
        headline=_headline(record, counts),
        where=_where(record),
        notes=notes,
        again=[_again(phase) for phase in tried_again(record.phases)],
        problems=[
            _not_passed(judged, phases)
            for status in (Status.FAILED, Status.ERROR)
            for judged in counts.of(status)
        ],
        known=_known(counts),
        groups=_groups(record, counts, phases),
        skips=[_skip(reason, ids) for reason, ids in counts.skips.items()],
        facts=_facts(record),
    )


def _headline(record: RunRecord, counts: Totals) -> Headline:
    words = {EXIT_PASSED: "PASSED", EXIT_FAILED: "FAILED", EXIT_CRASHED: "CRASHED"}
    word = words.get(exit_code(record, counts), "NOT JUDGED")
    checks = Counter(
        check.status for judged in counts.cases if not judged.canary for check in judged.checks
    )
    known = checks[Status.KNOWN]
    judged = checks[Status.PASSED] + checks[Status.FAILED] + known
    if checks[Status.FAILED]:
        parts = [f"{checks[Status.FAILED]:,} of {plural(judged, 'check')} failed"]
    elif known:
        parts = [f"{checks[Status.PASSED]:,} of {plural(judged, 'check')} passed"]
    elif judged:
        parts = [f"{plural(judged, 'check')} passed"]
    else:
        parts = ["no check was judged"]
    if known:
        noun = "is a known defect" if known == 1 else "are known defects"
        parts.append(f"{known:,} {noun}{' (strict)' if record.strict else ''}")
    if checks[Status.ERROR]:
        parts.append(f"{checks[Status.ERROR]:,} could not be judged")
    canaries = counts.of(Status.PASSED, Status.FAILED, Status.ERROR, canary=True)
    if canaries:
        caught = len(counts.of(Status.PASSED, canary=True))
        parts.append(f"{caught} of {len(canaries)} canaries caught")
    if record.state != "finished":
        parts.insert(0, f"the run is {record.state}")
    cases = ", ".join(
        f"{len(found):,} {WORDS[status].lower()}"
        for status in WORDS
        if (found := counts.of(status))
    )
    total = plural(len(counts.cases), "case")
    told = f"{total}: {cases}; {duration(record.duration_s)}" if cases else "no case was run"
    if again := tried_again(record.phases):
        told += f"; {plural(len(again), 'phase')} tried again"
    return Headline(word, ", ".join(parts), told)


def _again(phase: PhaseRecord) -> Again:
    return Again(
        one_line(phase.key),
        [*map(attempt_words, phase.attempts)],
        [one_line(attempt.directory) for attempt in phase.attempts],
    )


def _where(record: RunRecord) -> str:
    where = gpus.words(record)
    return one_line(f"engine {record.engine}, {where}, LMS provider {record.provider}")


def _not_passed(judged: Judged, phases: Mapping[str, PhaseRecord]) -> NotPassed:
    used = executions(judged.case, phases)
    broken = [(name, phase) for name, phase in used if broke(phase)]
    last = [(name, phase) for name, phase in used if phase.control_of is None][-1:]
    return NotPassed(
        word=WORDS[judged.status],
        case=judged.case,
        complaints=_complaints(judged),
        endings=[f"{name}: {ending(phase)}" for name, phase in broken],
        directories=[one_line(phase.directory) for _, phase in broken or last],
    )


def _complaints(judged: Judged) -> list[Complaint]:
    """Failed checks first; one broken phase leaves many checks unjudged for the same reason."""
    found: dict[tuple[Status, str], list[Check]] = {}
    for status in (Status.FAILED, Status.ERROR):
        for check in judged.having(status):
            found.setdefault((status, check.message), []).append(check)
    return [
        Complaint(
            ", ".join(check.id.label for check in checks),
            one_line(message),
            [line for check in checks for line in check.lines],
        )
        for (_, message), checks in found.items()
    ]


def _known(counts: Totals) -> list[Known]:
    """The known defects that were seen, each with its cases; those that also failed too."""
    seen: dict[str, list[Seen]] = {}
    for judged in counts.cases:
        for check in judged.checks:
            if check.defect is not None:
                entry = Seen(one_line(judged.case.id), check.id.label, one_line(check.message))
                seen.setdefault(one_line(check.defect.text), []).append(entry)
    return [Known(text, entries) for text, entries in seen.items()]


def _groups(record: RunRecord, counts: Totals, phases: Mapping[str, PhaseRecord]) -> list[Group]:
    cases: dict[str, list[Judged]] = {flavor.id: [] for flavor in record.flavors}
    for judged in counts.cases:
        cases.setdefault(judged.case.flavor, []).append(judged)
    known = {flavor.id: flavor for flavor in record.flavors}
    groups = []
    for flavor, members in cases.items():
        entry = known.get(flavor)
        unavailable = entry.unavailable if entry else None
        tried = [judged for judged in members if judged.status is not Status.SKIPPED]
        passed = sum(judged.status is Status.PASSED for judged in tried)
        expected = sum(judged.status is Status.KNOWN for judged in tried)
        score = f"{passed} of {plural(len(tried), 'case')} passed" if tried else "not judged"
        groups.append(
            Group(
                flavor=one_line(flavor),
                score=f"{score}, {expected} known" if expected else score,
                unavailable=None if unavailable is None else one_line(unavailable),
                error=bool(entry and entry.error),
                # A flavor that is not there says so in one line, not once per scenario.
                rows=[
                    _row(judged, phases)
                    for judged in members
                    if unavailable is None or judged.status is not Status.SKIPPED
                ],
            )
        )
    return groups


def _row(judged: Judged, phases: Mapping[str, PhaseRecord]) -> Row:
    case = judged.case
    found = Counter(check.status for check in judged.checks)
    of = len(judged.checks) - found[Status.SKIPPED]
    used = executions(case, phases)
    times = [phase.duration_s for _, phase in used]
    seconds = [time for time in times if time is not None]
    return Row(
        family=one_line(case.family),
        scenario=one_line(case.title),
        verdict=WORDS[judged.status],
        score=f"{found[Status.PASSED]}/{of}" if of else "-",
        swapping=_swapping(judged),
        short=_short(judged),
        time=duration(sum(seconds)) if seconds else "-",
        again=bool(tried_again(phase for _, phase in used)),
    )


def _swapping(judged: Judged) -> str:
    """The verdict that says most: for a canary whether it was caught, else on the swapping."""
    wanted = CheckId.CAUGHT if judged.canary else CheckId.SWAPPING_CONFIRMED
    for check in judged.checks:
        if check.id is wanted and check.status is not Status.SKIPPED:
            return one_line(check.message, 300)
    return "-"


def _short(judged: Judged) -> str:
    """How swapping was confirmed in a few words; a problem has its own paragraph above."""
    message = _swapping(judged)
    if judged.status is not Status.PASSED:
        word = message.split(":", 1)[0]
        return "" if word == "-" else clip(word, 20)
    if judged.case.expects is not None:
        return f"caught by '{judged.case.expects.label}'"
    check = next((c for c in judged.checks if c.id is CheckId.SWAPPING_CONFIRMED), None)
    if check is None or check.status is not Status.PASSED:
        return ""
    words = []
    numbers = judged.step
    for meter in ("", "nvml_"):
        control = numbers.get(f"control_{meter}peak_bytes")
        swapped = numbers.get(f"{meter}peak_bytes")
        if isinstance(control, int) and isinstance(swapped, int) and swapped < control:
            words.append(f"peak {mib(control).removesuffix(' MiB')} -> {mib(swapped)}")
            break
    moved = numbers.get("moved_out_bytes")
    if isinstance(moved, int):
        words.append(f"{mib(moved)} out")
    return ", ".join(words) or message


def _skip(reason: str, ids: Sequence[str]) -> Skip:
    flavors = Counter(case.split(".", 1)[0] for case in ids)
    return Skip(
        cases=plural(len(ids), "case"),
        reason=one_line(reason),
        where=", ".join(
            one_line(flavor if count == 1 else f"{flavor} x {count}")
            for flavor, count in flavors.items()
        ),
    )


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    values: dict[str, object] = {
        "run": record.id,
        "started": record.started,
        "command": record.command,
        "LMS parameters": ", ".join(f"{k}={flat(v)}" for k, v in record.parameters.items()),
    }
    values["shard"] = record.shard and record.shard.name
    values |= {f"phases of {run}": words for run, words in runs.words(record).items()}
    values |= gpus.facts(record)
    values |= {f"host {name}": value for name, value in record.host.items()}
    for flavor in record.flavors:
        values |= {f"{flavor.id} {name}": value for name, value in flavor.provenance.items()}
    return [
        (one_line(name), one_line(flat(value)))
        for name, value in values.items()
        if value not in (None, "")
    ]
