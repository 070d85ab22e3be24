"""The summary of a run for people: on the terminal with rich, and as summary.md.

Both show one set of facts (`Facts`). What comes from logs is cleaned and escaped: a phase can
print anything.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from rich.console import Console
from rich.text import Text

from harness import atomic
from harness.record import CaseRecord, Check, CheckId, PhaseRecord, RunRecord, Status
from harness.tally import Judged, Tally, broke, ending, executions, exit_code, tally
from harness.text import clean, clip, distinct, duration, flat, one_line, plural
from harness.verdict import mib

FILE = "summary.md"
LINES = 3  # log lines that are shown of a check
TERMINAL_PROBLEMS = 12
MARKDOWN_PROBLEMS = 100
PLAIN_WIDTH = 100  # where the output is no terminal that has a width of its own

_WORDS = {
    Status.PASSED: "passed",
    Status.FAILED: "FAILED",
    Status.ERROR: "not judged",
    Status.SKIPPED: "skipped",
}
_STYLES = {"passed": "green", "FAILED": "bold red", "not judged": "yellow", "skipped": "dim"}
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
class Problem:
    """A case that did not pass, and what explains it."""

    word: str
    case: CaseRecord
    complaints: list[Complaint]
    endings: list[str]
    directories: list[str]


@dataclass(frozen=True)
class Row:
    """A case in its flavor's table."""

    family: str
    scenario: str
    verdict: str
    score: str
    swapping: str
    short: str
    time: str

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
class Facts:
    """All that a summary shows."""

    headline: Headline
    where: str
    notes: list[str]
    problems: list[Problem]
    groups: list[Group]
    skips: list[Skip]
    facts: list[tuple[str, str]]


def write(record: RunRecord, run_directory: Path) -> Path:
    """Writes `summary.md` into the run directory.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        content = markdown(record)
    except Exception as error:  # the other reports must not be lost with this one
        content = f"# The summary could not be rendered\n\n    {one_line(repr(error))}\n"
    return atomic.write(run_directory / FILE, content)


def markdown(record: RunRecord) -> str:
    """Returns the summary as Markdown (GitHub's flavour)."""
    facts = gather(record)
    return _template().render(
        vars(facts)
        | {
            "record": record,
            "problems": facts.problems[:MARKDOWN_PROBLEMS],
            "more_problems": max(0, len(facts.problems) - MARKDOWN_PROBLEMS),
        }
    )


def terminal(record: RunRecord, console: Console, run_directory: Path | None = None) -> None:
    """Prints the summary; plain lines of at most 100 columns where there is no terminal.

    Args:
        run_directory: where the reports are, for the last line.
    """
    _Printer(console).show(gather(record), run_directory)


# --- the facts ----------------------------------------------------------------------------------


def gather(record: RunRecord) -> Facts:
    """Returns what the summary of a run shows."""
    counts = tally(record)
    phases = {phase.key: phase for phase in record.phases}
    notes = [one_line(note) for note in record.notes]
    notes += [
        f"flavor {flavor.id} is not available: {one_line(flavor.unavailable)}"
        for flavor in record.flavors
        if flavor.unavailable is not None
    ]
    if record.accelerator == "virtual" and not any("virtual accelerator" in n for n in notes):
        notes.append(_VIRTUAL)
    return Facts(
        headline=_headline(record, counts),
        where=_where(record),
        notes=notes,
        problems=[
            _problem(judged, phases)
            for status in (Status.FAILED, Status.ERROR)
            for judged in counts.of(status)
        ],
        groups=_groups(record, counts, phases),
        skips=[_skip(reason, ids) for reason, ids in counts.skips.items()],
        facts=_facts(record),
    )


def _headline(record: RunRecord, counts: Tally) -> Headline:
    word = {0: "PASSED", 1: "FAILED"}.get(exit_code(record, counts), "NOT JUDGED")
    checks = Counter(
        check.status for judged in counts.cases if not judged.canary for check in judged.checks
    )
    judged = checks[Status.PASSED] + checks[Status.FAILED]
    if checks[Status.FAILED]:
        parts = [f"{checks[Status.FAILED]:,} of {plural(judged, 'check')} failed"]
    elif judged:
        parts = [f"{plural(judged, 'check')} passed"]
    else:
        parts = ["no check was judged"]
    if checks[Status.ERROR]:
        parts.append(f"{checks[Status.ERROR]:,} could not be judged")
    canaries = counts.of(Status.PASSED, Status.FAILED, Status.ERROR, canary=True)
    if canaries:
        caught = len(counts.of(Status.PASSED, canary=True))
        parts.append(f"{caught} of {len(canaries)} canaries caught")
    if record.state != "finished":
        parts.insert(0, f"the run is {record.state}")
    cases = ", ".join(
        f"{len(found):,} {_WORDS[status].lower()}"
        for status in (Status.PASSED, Status.FAILED, Status.ERROR, Status.SKIPPED)
        if (found := counts.of(status))
    )
    total = plural(len(counts.cases), "case")
    return Headline(
        word,
        ", ".join(parts),
        f"{total}: {cases}; {duration(record.duration_s)}" if cases else "no case was run",
    )


def _where(record: RunRecord) -> str:
    if record.gpu:
        accelerator = f"on {flat(record.gpu.get('name') or 'a GPU')}"
    elif record.accelerator == "virtual":
        accelerator = "on a virtual accelerator (no GPU)"
    else:
        accelerator = f"accelerator {record.accelerator}"
    return one_line(f"engine {record.engine}, {accelerator}, LMS provider {record.provider}")


def _problem(judged: Judged, phases: dict[str, PhaseRecord]) -> Problem:
    used = executions(judged.case, phases)
    broken = [(name, phase) for name, phase in used if broke(phase)]
    last = [(name, phase) for name, phase in used if phase.control_of is None][-1:]
    return Problem(
        word=_WORDS[judged.status],
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


def _groups(record: RunRecord, counts: Tally, phases: dict[str, PhaseRecord]) -> list[Group]:
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
        groups.append(
            Group(
                flavor=one_line(flavor),
                score=f"{passed} of {plural(len(tried), 'case')} passed" if tried else "not judged",
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


def _row(judged: Judged, phases: dict[str, PhaseRecord]) -> Row:
    case = judged.case
    found = Counter(check.status for check in judged.checks)
    of = len(judged.checks) - found[Status.SKIPPED]
    times = [phase.duration_s for _, phase in executions(case, phases)]
    seconds = [time for time in times if time is not None]
    return Row(
        family=one_line(case.family),
        scenario=one_line(case.scenario),
        verdict=_WORDS[judged.status],
        score=f"{found[Status.PASSED]}/{of}" if of else "-",
        swapping=_swapping(judged),
        short=_short(judged),
        time=duration(sum(seconds)) if seconds else "-",
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
    for meter in ("", "nvml_"):
        control = check.numbers.get(f"control_{meter}peak_bytes")
        swapped = check.numbers.get(f"{meter}peak_bytes")
        if isinstance(control, int) and isinstance(swapped, int) and swapped < control:
            words.append(f"peak {mib(control).removesuffix(' MiB')} -> {mib(swapped)}")
            break
    moved = check.numbers.get("moved_out_bytes")
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
    values |= {f"GPU {name}": value for name, value in (record.gpu or {}).items()}
    values |= {f"host {name}": value for name, value in record.host.items()}
    for flavor in record.flavors:
        values |= {f"{flavor.id} {name}": value for name, value in flavor.provenance.items()}
    return [
        (one_line(name), one_line(flat(value)))
        for name, value in values.items()
        if value not in (None, "")
    ]


# --- Markdown -----------------------------------------------------------------------------------

# What starts a construct of Markdown or HTML, or ends a cell.
_MARKUP = re.compile(r"([\\`*\[\]|~#!{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


class _Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> str:
    """Returns text as one line of Markdown that shows exactly it, also in a table."""
    if isinstance(text, _Markdown):
        return text
    line = one_line(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _Markdown(_MARKUP.sub(r"\\\1", line))


def _code(text: str) -> str:
    line = one_line(text)
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return _Markdown(f"{fence}{pad}{line}{pad}{fence}")


def _fenced(lines: Sequence[str]) -> str:
    shown = [one_line(line, 300) for line in distinct(lines)[:LINES]]
    if len(lines) > len(shown):
        shown.append(f"(and {plural(len(lines) - len(shown), 'more line')})")
    fence = "`" * max(3, max(_longest_run(line) for line in shown) + 1)
    return _Markdown("\n".join([f"{fence}text", *shown, fence]))


def _longest_run(line: str) -> int:
    return max((len(run) for run in re.findall("`+", line)), default=0)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        finalize=escape,  # every value, unless a filter has made it Markdown
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": _code,
        "fenced": _fenced,
        "line": one_line,
        "bold": lambda text, bad: _Markdown(f"**{escape(text)}**") if bad else text,
    }
    return environment.get_template("summary.md.j2")


# --- the terminal -------------------------------------------------------------------------------


class _Printer:
    """Prints to a console; nothing of a log is ever read as rich's markup."""

    def __init__(self, console: Console) -> None:
        self._console = console
        # Neither a file nor a CI log has a width; rich would take 80 columns for one.
        self._width = console.width if console.is_terminal else max(console.width, PLAIN_WIDTH)

    def show(self, facts: Facts, run_directory: Path | None) -> None:
        word = facts.headline.word
        style = {"PASSED": "bold green", "FAILED": "bold red"}.get(word, "bold yellow")
        self._line()
        self._wrapped(f"{word}: {facts.headline.checks}", style)
        self._wrapped(facts.headline.cases)
        self._wrapped(facts.where, "dim")
        self._problems(facts.problems)
        names = max((len(row.scenario) for group in facts.groups for row in group.rows), default=0)
        for group in facts.groups:
            self._group(group, min(names, self._width // 2))
        for lines, line_style in (
            ([f"skipped: {skip.cases}: {skip.reason} ({skip.where})" for skip in facts.skips], ""),
            ([f"note: {note}" for note in facts.notes], "yellow"),
            ([] if run_directory is None else [f"reports: {run_directory}"], ""),
        ):
            if lines:
                self._line()
            for line in lines:
                self._wrapped(line, line_style)

    def _problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems[:TERMINAL_PROBLEMS]:
            self._line()
            self._line((problem.word, _STYLES[problem.word]), f" {one_line(problem.case.id)}")
            for complaint in problem.complaints:
                self._wrapped(f"{complaint.checks}: {complaint.message}", indent=2)
                for line in distinct(complaint.lines)[:LINES]:
                    self._line((f"    {one_line(line, self._width - 4)}", "dim"))
            for line in problem.endings:
                self._wrapped(line, indent=2)
            if problem.case.reproduce:
                self._line(f"  reproduce: {one_line(problem.case.reproduce)}")
            for directory in problem.directories:
                self._line((f"  logs: {directory}", "dim"))
        if len(problems) > TERMINAL_PROBLEMS:
            self._line(f"and {len(problems) - TERMINAL_PROBLEMS} more that did not pass")

    def _group(self, group: Group, names: int) -> None:
        self._line()
        self._line((group.flavor, "bold"), f": {group.score}")
        if group.unavailable is not None:
            what = "infrastructure error" if group.error else "not available"
            self._wrapped(f"{what}: {group.unavailable}", "bold yellow", indent=2)
        family = None
        for row in group.rows:
            if row.family != family:
                family = row.family
                self._line((f"  {family}", "dim"))
            self._row(row, names)

    def _row(self, row: Row, names: int) -> None:
        """One case: its name, its verdict, and the swapping in what is left of the line."""
        verdict = (
            f"{row.verdict} {row.score}" if row.verdict in ("passed", "FAILED") else row.verdict
        )
        head = Text(f"    {row.scenario:<{names}}  ").append(verdict, _STYLES[row.verdict])
        indent = 4 + names + 2 + len("not judged") + 2
        lines = textwrap.wrap(row.short, max(self._width - indent, 30))
        if lines and len(head) < indent:
            head.append(" " * (indent - len(head)) + lines.pop(0))
        self._print(head)
        for line in lines:
            self._print(Text(" " * indent + line))

    def _line(self, *parts: str | tuple[str, str]) -> None:
        """Prints one line that is never wrapped, so that commands and paths can be copied."""
        text = Text()
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(clean(words), style)
        self._print(text)

    def _wrapped(self, words: str, style: str = "", indent: int = 0) -> None:
        """Prints a paragraph, its later lines indented by two more."""
        lines = textwrap.wrap(
            one_line(words, 2000),
            self._width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines:
            self._print(Text(line, style))

    def _print(self, text: Text) -> None:
        try:
            text.plain.encode(self._console.encoding)
        except UnicodeEncodeError:  # a terminal that cannot show it must not end the run
            plain = text.plain.encode(self._console.encoding, "replace")
            text = Text(plain.decode(self._console.encoding), text.style)
        self._console.print(text, soft_wrap=True)
