"""The summary of a run for people: on the terminal with rich, and as summary.md.

Both show one overview (`report.overview`). What comes from logs is cleaned and escaped: a phase
can print anything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

import jinja2
from rich.console import Console
from rich.text import Text

from harness.base import atomic
from harness.base.markdown import Markdown, code, escape, longest_run
from harness.base.text import distinct, one_line, plural
from harness.record.models import RunRecord
from harness.report import changes, pictures
from harness.report.overview import Again, Group, Known, NotPassed, Overview, Row, gather
from harness.report.pictures import Picture
from harness.report.printer import Printer
from harness.report.reading import Reading

FILE = "summary.md"
LINES = 3  # log lines that are shown of a check
TERMINAL_PROBLEMS = 12
MARKDOWN_PROBLEMS = pictures.FAILED
SEEN = 20  # cases of a known defect that are listed

_STYLES = {
    "passed": "green",
    "FAILED": "bold red",
    "not judged": "yellow",
    "known": "magenta",
    "skipped": "dim",
}


def write(record: RunRecord, run_directory: Path, reading: Reading | None = None) -> Path:
    """Writes `summary.md` into the run directory.

    Args:
        reading: of that record and directory, where other reports share it.

    Raises:
        OSError: the file cannot be written.
    """
    reading = reading or Reading(record, run_directory)
    try:
        shown = reading.overview
        content = markdown(record, pictures.write(reading), shown)
    except Exception as error:  # the other reports must not be lost with this one
        content = f"# The summary could not be rendered\n\n    {one_line(repr(error))}\n"
    return atomic.write(run_directory / FILE, content)


def markdown(
    record: RunRecord,
    shown: Mapping[str, Sequence[Picture]] | None = None,
    overview: Overview | None = None,
) -> str:
    """Returns the summary as Markdown (GitHub's flavour).

    Args:
        shown: pictures of cases, by their ids.
        overview: of the record, where it is at hand.
    """
    overview = overview or gather(record)
    failed = {problem.case.id for problem in overview.problems[:MARKDOWN_PROBLEMS]}
    return _template().render(
        vars(overview)
        | {
            "record": record,
            "changes": None
            if record.comparison is None
            else Markdown(changes.markdown(record.comparison)),
            "most_seen": SEEN,
            "problems": overview.problems[:MARKDOWN_PROBLEMS],
            "more_problems": max(0, len(overview.problems) - MARKDOWN_PROBLEMS),
            "pictures": shown or {},
            "other_pictures": {
                case: made for case, made in (shown or {}).items() if case not in failed
            },
        }
    )


def terminal(record: RunRecord, console: Console, run_directory: Path | None = None) -> None:
    """Prints the summary; plain lines of at most 100 columns where there is no terminal.

    Args:
        run_directory: where the reports are, for the last line.
    """
    printer = _Printer(console)
    printer.show(gather(record), run_directory)
    if record.comparison is not None:
        printer.line()
        changes.terminal(record.comparison, console)
    if run_directory is not None:
        printer.line()
        printer.wrapped(f"reports: {run_directory}")


# --- Markdown -----------------------------------------------------------------------------------


def _fenced(lines: Sequence[str]) -> str:
    shown = [one_line(line, 300) for line in distinct(lines)[:LINES]]
    if len(lines) > len(shown):
        shown.append(f"(and {plural(len(lines) - len(shown), 'more line')})")
    fence = "`" * max(3, max(longest_run(line) for line in shown) + 1)
    return Markdown("\n".join([f"{fence}text", *shown, fence]))


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        finalize=escape,  # every value, unless a filter has made it Markdown
        autoescape=False,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": code,
        "fenced": _fenced,
        "line": one_line,
        "bold": lambda text, bad: Markdown(f"**{escape(text)}**") if bad else text,
    }
    return environment.get_template("summary.md.j2")


# --- the terminal -------------------------------------------------------------------------------


class _Printer(Printer):
    """Prints an overview."""

    def show(self, overview: Overview, run_directory: Path | None) -> None:
        word = overview.headline.word
        style = {"PASSED": "bold green", "FAILED": "bold red", "CRASHED": "bold red"}.get(
            word, "bold yellow"
        )
        self.line()
        self.wrapped(f"{word}: {overview.headline.checks}", style)
        self.wrapped(overview.headline.cases)
        self.wrapped(overview.where, "dim")
        self._problems(overview.problems, run_directory)
        self._known(overview.known)
        self._again(overview.again)
        names = max(
            (len(row.scenario) for group in overview.groups for row in group.rows), default=0
        )
        for group in overview.groups:
            self._group(group, min(names, self.width // 2))
        for lines, line_style in (
            (
                [f"skipped: {skip.cases}: {skip.reason} ({skip.where})" for skip in overview.skips],
                "",
            ),
            ([f"note: {note}" for note in overview.notes], "yellow"),
        ):
            if lines:
                self.line()
            for line in lines:
                self.wrapped(line, line_style)

    def _problems(self, problems: Sequence[NotPassed], run_directory: Path | None) -> None:
        for problem in problems[:TERMINAL_PROBLEMS]:
            self.line()
            self.line((problem.word, _STYLES[problem.word]), f" {one_line(problem.case.id)}")
            for complaint in problem.complaints:
                self.wrapped(f"{complaint.checks}: {complaint.message}", indent=2)
                for line in distinct(complaint.lines)[:LINES]:
                    self.line((f"    {one_line(line, self.width - 4)}", "dim"))
            for line in problem.endings:
                self.wrapped(line, indent=2)
            if problem.case.reproduce:
                self.line(f"  reproduce: {one_line(problem.case.reproduce)}")
            for directory in problem.directories:
                self.line((f"  logs: {(run_directory or Path()) / directory}", "dim"))
        if len(problems) > TERMINAL_PROBLEMS:
            self.line(f"and {len(problems) - TERMINAL_PROBLEMS} more that did not pass")

    def _known(self, known: Sequence[Known]) -> None:
        for defect in known:
            self.line()
            self.wrapped(defect.text, _STYLES["known"])
            for entry in defect.seen[:SEEN]:
                self.wrapped(f"{entry.case}: {entry.check}: {entry.message}", indent=2)
            if len(defect.seen) > SEEN:
                self.line(f"  and {len(defect.seen) - SEEN} more")

    def _again(self, again: Sequence[Again]) -> None:
        if again:
            self.line()
        for entry in again[:TERMINAL_PROBLEMS]:
            self.line(("tried again", "yellow"), f" {entry.phase}")
            for words, directory in zip(entry.attempts, entry.directories, strict=True):
                self.wrapped(words, indent=2)
                self.line((f"  logs: {directory}", "dim"))
        if len(again) > TERMINAL_PROBLEMS:
            self.line(f"and {len(again) - TERMINAL_PROBLEMS} more that were tried again")

    def _group(self, group: Group, names: int) -> None:
        self.line()
        self.line((group.flavor, "bold"), f": {group.score}")
        if group.unavailable is not None:
            what = "infrastructure error" if group.error else "not available"
            self.wrapped(f"{what}: {group.unavailable}", "bold yellow", indent=2)
        for family, members in groupby(group.rows, key=lambda row: row.family):
            rows = list(members)
            judged = [row for row in rows if row.verdict != "skipped"]
            # The reasons stand below, once each.
            left_out = f"  {len(rows) - len(judged)} skipped" if len(judged) < len(rows) else ""
            self.line((f"  {family}{left_out}", "dim"))
            for row in judged:
                self._row(row, names)

    def _row(self, row: Row, names: int) -> None:
        """One case: its name, its verdict, and the swapping in what is left of the line."""
        verdict = (
            f"{row.verdict} {row.score}"
            if row.verdict in ("passed", "FAILED", "known")
            else row.verdict
        )
        head = Text(f"    {row.scenario:<{names}}  ").append(verdict, _STYLES[row.verdict])
        indent = 4 + names + 2 + len("not judged") + 2
        words = ", ".join(filter(None, [row.short, "tried again" if row.again else ""]))
        lines = textwrap.wrap(words, max(self.width - indent, 30))
        if lines and len(head) < indent:
            head.append(" " * (indent - len(head)) + lines.pop(0))
        self.text(head)
        for line in lines:
            self.text(Text(" " * indent + line))
