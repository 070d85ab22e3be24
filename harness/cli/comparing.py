"""Commands that set runs side by side: `compare`, `baseline`, `history`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from harness.base import atomic, directory, plain_file, streams
from harness.base.error import EXIT_PASSED, HarnessError, UsageError
from harness.base.text import one_line, plural
from harness.cli import options
from harness.comparison import baseline, comparison, source
from harness.history import database, listing
from harness.record import journal, store
from harness.record.models import RunRecord
from harness.report import changes, totals

_RUN = click.Path(path_type=Path)
_console = Console(soft_wrap=False)


@click.command("compare")
@click.argument("base", type=_RUN)
@click.argument("run", type=_RUN)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--markdown", is_flag=True, help="For a page or a comment.")
@click.pass_obj
def compare_command(root: Path, base: Path, run: Path, as_json: bool, markdown: bool) -> int:
    """Say what is another in RUN than in BASE: verdicts, numbers, and where they ran.

    Each is a run (its directory, its id, or latest), a record's file or an accepted baseline.
    Exit code 1: something fails that did not, or a number moved for the worse.
    """
    if as_json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    found = comparison.compare(options.baseline_of(root, base), options.baseline_of(root, run))
    if as_json:
        document = {"regressed": found.regressed, **found.model_dump(mode="json")}
        click.echo(json.dumps(document, indent=1))
    elif markdown:
        click.echo(changes.markdown(found), nl=False)
    else:
        changes.terminal(found, _console)
    return comparison.exit_code(found)


@click.group("baseline")
def baseline_command() -> None:
    """Keep what a run found as a small file that later runs are compared with."""


@baseline_command.command("accept")
@click.argument("runs", nargs=-1, required=True, type=_RUN)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("baseline.json"),
    show_default=True,
    envvar="HARNESS_OUTPUT",
    help="The file that is written.",
)
@click.option(
    "--force",
    is_flag=True,
    envvar="HARNESS_FORCE",
    help="Accept a run that failed, or did not end, too.",
)
@click.pass_obj
def accept_command(root: Path, runs: tuple[Path, ...], output: Path, force: bool) -> int:
    """Write a run as a baseline, to be reviewed and committed.

    Of several runs of one plan, checks whose verdicts differ among them are flaky from then on.
    """
    streams.standard.spare()  # the file is what the command makes
    records = [source.record(options.run_directory(root, run)) for run in runs]
    for record in records if not force else ():
        _require_good(record)
    made = baseline.of(records)
    _require_file(output)
    directory.require_writable(output.absolute().parent)
    atomic.write(output, made.to_text())
    click.echo(
        f"{options.shown(output.absolute())}: {plural(len(made.cases), 'case')} of"
        f" {', '.join(one_line(run, 100) for run in made.runs)}"
    )
    return EXIT_PASSED


@click.command("history")
@click.argument("case", required=False)
@click.option(
    "--reports",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HARNESS_REPORTS",
    help="Where the runs are  [default: reports/ of the checkout]",
)
@click.option(
    "--last",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    envvar="HARNESS_LAST",
    help="Runs of a case at most.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option(
    "--rebuild",
    is_flag=True,
    envvar="HARNESS_REBUILD",
    help="First make the history again from the records.",
)
@click.pass_obj
def history_command(
    root: Path, case: str | None, reports: Path | None, last: int, as_json: bool, rebuild: bool
) -> int:
    """Show verdicts and numbers over runs: of each case in a line, or of CASE in full.

    CASE is <flavor>.<family>.<scenario>, or a shell pattern of such.
    """
    if reports is not None and not reports.is_dir():
        raise UsageError(f"--reports {reports}: is no directory; it is where runs are")
    reports = reports or root / "reports"
    if rebuild:
        directory.require_writable(reports)
        count = database.rebuild(_records(reports), reports)
        click.echo(f"{plural(count, 'run')} in {options.shown(reports / database.FILE)}", err=True)
    found = listing.matching(database.load(reports, last), case)
    if case is not None and not found:
        raise UsageError(f"no run in {reports} has a case {one_line(case, 200)}")
    if as_json:
        entries = {
            name: [point.model_dump(mode="json") for point in points]
            for name, points in found.items()
        }
        click.echo(json.dumps(entries, indent=1))
    else:
        for line in listing.lines(found, full=case is not None):
            click.echo(line)
    return EXIT_PASSED


def _require_file(output: Path) -> None:
    """Raises UsageError for what a file must not take the place of, such as /dev/stdout."""
    with contextlib.suppress(FileNotFoundError):
        kind = plain_file.kind_of(output.stat().st_mode)
        if kind is not None:
            raise UsageError(f"--output {output}: is a {kind}, and no file")


def _require_good(record: RunRecord) -> None:
    """Raises UsageError for a run that nobody should take for good."""
    hint = "look at it, and accept it with --force if that is what it should be"
    if record.state != "finished":
        raise UsageError(f"run {one_line(record.id)} is {one_line(record.state)}: {hint}")
    if totals.exit_code(record) != EXIT_PASSED:
        raise UsageError(f"run {one_line(record.id)} did not pass: {hint}")


def _records(reports: Path) -> Iterator[RunRecord]:
    """The records of the runs below a directory; a line for one that cannot be read."""
    for path in sorted(reports.glob(f"*/{store.FILE}")):
        run = path.parent
        if run.is_symlink() or journal.alive(run):
            continue
        try:
            yield store.load(run)
        except HarnessError as problem:
            click.echo(f"left out: {problem}", err=True)
