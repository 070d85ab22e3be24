"""Commands that show the plan: `list`, `describe`, `defects`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.base.error import EXIT_PASSED
from harness.base.text import plural
from harness.catalog import catalog
from harness.catalog.defects import scripts
from harness.catalog.variants import Depth
from harness.cli import options
from harness.plan import defects, families, listing, planner
from harness.record import store
from harness.record.models import RunRecord
from harness.report.files.reports import LATEST


@click.command("list")
@options.selection
@options.provider
@click.option(
    "--all",
    "every_pair",
    is_flag=True,
    envvar="HARNESS_ALL",
    help="The pairs too that can never apply, with their reasons.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--markdown", is_flag=True, help="The page docs/matrix.md.")
@click.pass_obj
def list_command(
    root: Path,
    flavors_patterns: tuple[str, ...],
    families_patterns: tuple[str, ...],
    scenarios_patterns: tuple[str, ...],
    depth: Depth,
    provider: str,
    every_pair: bool,
    as_json: bool,
    markdown: bool,
) -> int:
    """List every case of the plan."""
    patterns = flavors_patterns, families_patterns, scenarios_patterns
    selected = catalog.load(root, depth).select(*patterns)
    selected = selected.swapping_by(options.providers_of(selected, provider))
    if markdown:
        click.echo(listing.page(selected), nl=False)
        return EXIT_PASSED
    planned = planner.make(selected)
    entries = listing.entries(selected, planned, every_pair)
    if as_json:
        click.echo(json.dumps(entries, indent=1))
        return EXIT_PASSED
    each = bool(scenarios_patterns)
    for line in listing.lines(selected, entries, each):
        click.echo(line)
    for line in listing.providers(selected, every_pair):
        click.echo(line)
    others = len(list(selected.pairs())) - len(planned.cases)
    more = "" if every_pair or not others else ", which --all (make list ALL=1) shows"
    if not each and any(entry["values"] for entry in entries):
        more += "; SCENARIOS='*' names each variant"
    click.echo(
        f"\n{plural(len(planned.cases), 'case')},"
        f" {plural(len(planned.tasks), 'phase')} with their controls;"
        f" {plural(others, 'pair')} of flavor and scenario can never apply{more}"
    )
    return EXIT_PASSED


@click.command("describe")
@click.argument("scenario")
@options.patterns("flavors", "flavors")
@options.depth
@click.pass_obj
def describe_command(
    root: Path, scenario: str, flavors_patterns: tuple[str, ...], depth: Depth
) -> int:
    """Show a scenario in full: phases, scripts, checks, and how each flavor runs it.

    Of a family that is made of variants, its id shows the axes and their values.
    """
    whole = catalog.load(root, depth)
    for variants in whole.variants:
        if variants.family == scenario:
            for line in families.description(whole.select(flavors_patterns), variants):
                click.echo(line)
            return EXIT_PASSED
    selected = whole.select(flavors_patterns, (), [scenario])
    selected.require_case()
    planned = planner.make(selected)
    for line in listing.description(selected, planned):
        click.echo(line)
    return EXIT_PASSED


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
