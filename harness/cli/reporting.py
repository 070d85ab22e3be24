"""Commands that read what ran: `report`, `open`, `judge`."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import click
from rich.console import Console

from harness.base import streams
from harness.base.error import EXIT_FAILED, EXIT_PASSED, HarnessError, UsageError
from harness.checks import log_alone
from harness.cli import judgement, options
from harness.record import durations, store
from harness.record.models import RunRecord
from harness.report import summary, totals
from harness.report.ci import ctrf, github
from harness.report.files import reports
from harness.report.page import pages
from harness.report.tables import providers

_LOG = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
_console = Console(soft_wrap=False)


@click.command("report")
@click.argument("run_directories", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--format",
    "form",
    type=click.Choice(["ctrf", "durations", "providers"]),
    help="Print this, and write nothing: the run in the Common Test Report Format; seconds of its"
    " phases, for --durations; tables of what each provider did, of one run or several.",
)
@click.option("--schema", is_flag=True, help="Print the JSON schema of record.json.")
@click.pass_obj
def report_command(
    root: Path, run_directories: tuple[Path, ...], form: str | None, schema: bool
) -> int:
    """Rebuild every report of a run from its record."""
    if schema:
        if run_directories or form is not None:
            raise UsageError("--schema is of every record: it takes no run and no --format")
        click.echo(store.schema(), nl=False)
        return EXIT_PASSED
    if not run_directories:
        raise click.MissingParameter(param_hint="RUN_DIRECTORY", param_type="argument")
    directories = [options.run_directory(root, path) for path in run_directories]
    if form == "providers":
        records = [store.load(directory) for directory in directories]
        click.echo("\n".join(providers.lines(records)))
        codes = {totals.exit_code(record) for record in records}
        return EXIT_FAILED if EXIT_FAILED in codes else max(codes)
    run_directory, *others = directories
    if others:
        raise UsageError("report takes one run; several make tables with --format providers")
    if form is not None:
        record = store.load(run_directory)
        if form == "durations":
            click.echo(durations.render(durations.of(record)), nl=False)
            return EXIT_PASSED
        click.echo(ctrf.render(record), nl=False)
        return totals.exit_code(record)
    streams.standard.spare()  # the reports are files
    record = reports.rebuild(run_directory)
    with github.commands_stopped(click.echo):
        summary.terminal(record, _console)
    return totals.exit_code(record)


def tell_github(record: RunRecord, directory: Path) -> None:
    """On GitHub: annotations, and the step's summary; what cannot be written changes nothing."""
    if not github.here():
        return
    for line in github.annotated(record):
        click.echo(line)
    try:
        github.write_summary(summary.markdown(record), options.shown(directory / summary.FILE))
    except HarnessError as problem:
        click.echo(f"note: {problem}")


@click.command("open")
@click.argument("run", default="")
@click.pass_obj
def open_command(root: Path, run: str) -> None:
    """Open a run's page in a browser: the newest run's, or that of RUN."""
    run_directory = options.run_directory(root, Path(run or reports.LATEST))
    page = run_directory.resolve() / pages.FILE
    if not page.is_file():
        if not run_directory.is_dir():
            raise UsageError(
                f"no run in {run_directory}: `make matrix` makes one, RUN names another"
            )
        raise UsageError(
            f"{run_directory} has no page: `make report RUN={run_directory}` writes it"
        )
    click.echo(options.shown(page))
    if not webbrowser.open(page.as_uri()):
        click.echo("harness: there is no browser here that could show it", err=True)


@click.command("judge")
@click.argument("logs", nargs=-1, required=True, type=_LOG)
@click.option(
    "--exit-code",
    type=click.IntRange(-255, 255),
    help="With which it ended: 0 says that an exception was handled, any other is a failure.",
)
@click.option("--no-lms", is_flag=True, help="A control run: LMS was not to be on.")
@click.option(
    "--provider",
    type=click.Choice([log_alone.GRAPH, log_alone.ALLOCATOR]),
    default=log_alone.GRAPH,
    show_default=True,
    help="What swaps: LMS that edits a graph, or TensorFlow's allocator (2.1 and 2.2 by IBM).",
)
@click.option("--ranks", is_flag=True, help="The logs are of ranks of one run: one verdict.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def judge_command(
    logs: tuple[Path, ...],
    exit_code: int | None,
    no_lms: bool,
    provider: str,
    ranks: bool,
    as_json: bool,
) -> int:
    """Give the verdicts that logs from anywhere allow; - is standard input.

    A log whose name ends in .gz, .zst, .bz2 or .xz is unpacked as it is read.
    """
    if no_lms and provider == log_alone.ALLOCATOR:
        raise UsageError("--no-lms and --provider allocator exclude each other")
    expected = judgement.Expectation(log_alone.OFF if no_lms else provider, exit_code)
    judged = judgement.judge(logs, expected, ranks)
    if as_json:
        click.echo(json.dumps([entry.to_dict() for entry in judged], indent=1))
    else:
        for line in judgement.lines(judged):
            click.echo(line)
    return judgement.exit_code(judged)
