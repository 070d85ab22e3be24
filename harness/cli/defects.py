"""The command that shows the known defects: `defects`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.base.error import EXIT_PASSED
from harness.catalog import catalog
from harness.catalog.defects import scripts
from harness.cli import options
from harness.plan import defects
from harness.record import store
from harness.record.models import RunRecord
from harness.report.files.reports import LATEST


@click.command("defects")
@click.option(
    "--run",
    "run_directory",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HARNESS_RUN",
    help="The run that has what was measured  [default: the latest, if there is one]",
)
@click.option("--markdown", is_flag=True, help="The page docs/defects.md.")
@click.pass_obj
def defects_command(root: Path, run_directory: Path | None, markdown: bool) -> int:
    """List the known defects: what each means, where it applies, and what a run measured of it."""
    own = catalog.load(root)
    listed = defects.entries(own, _record(root, run_directory), scripts(root, own.defects))
    if markdown:
        click.echo(defects.page(listed), nl=False)
        return EXIT_PASSED
    for line in defects.lines(listed):
        click.echo(line)
    return EXIT_PASSED


def _record(root: Path, run_directory: Path | None) -> RunRecord | None:
    """The record of the run that was named, or of the latest; None where there is none.

    Raises:
        UsageError: the run has no record that can be read.
    """
    if run_directory is not None:
        return store.load(options.run_directory(root, run_directory))
    latest = root / "reports" / LATEST
    return store.load(latest) if (latest / store.FILE).exists() else None
