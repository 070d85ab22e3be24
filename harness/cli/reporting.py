"""Commands that read what ran: `report`, `judge`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from harness.cli import judgement
from harness.record import store
from harness.report import reports, summary, totals

_console = Console(soft_wrap=False)


@click.command("report")
@click.argument("run_directory", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def report_command(root: Path, run_directory: Path) -> int:
    """Rebuild every report of a run from its record."""
    if not run_directory.exists() and (root / "reports" / run_directory).is_dir():
        run_directory = root / "reports" / run_directory
    record = store.load(run_directory)
    reports.write_all(record, run_directory, latest=False)
    summary.terminal(record, _console)
    return totals.exit_code(record)


@click.command("judge")
@click.argument(
    "logs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def judge_command(logs: tuple[Path, ...], as_json: bool) -> int:
    """Give the verdicts that logs from anywhere allow."""
    judged = judgement.judge(logs)
    if as_json:
        click.echo(json.dumps([entry.to_dict() for entry in judged], indent=1))
    else:
        for line in judgement.lines(judged):
            click.echo(line)
    return judgement.exit_code(judged)
