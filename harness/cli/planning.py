"""Commands that show the plan: `list`, `describe`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.base.error import (
    EXIT_PASSED,
)
from harness.catalog import catalog
from harness.cli import options
from harness.plan import listing, planner


@click.command("list")
@options.selection
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--markdown", is_flag=True, help="The table of the README.")
@click.pass_obj
def list_command(
    root: Path,
    flavors_patterns: tuple[str, ...],
    families_patterns: tuple[str, ...],
    scenarios_patterns: tuple[str, ...],
    as_json: bool,
    markdown: bool,
) -> int:
    """List every case of the plan."""
    selected = catalog.load(root).select(flavors_patterns, families_patterns, scenarios_patterns)
    planned = planner.make(selected, provider="builtin")
    if as_json:
        click.echo(json.dumps(listing.entries(planned), indent=1))
        return EXIT_PASSED
    if markdown:
        click.echo(listing.table(planned), nl=False)
        return EXIT_PASSED
    for entry in listing.entries(planned):
        state = f"skipped: {entry['skip']}" if entry["skip"] else entry["description"]
        click.echo(f"{entry['flavor']:<16} {entry['family']:<16} {entry['scenario']:<44} {state}")
    skipped = sum(case.skip is not None for case in planned.cases)
    click.echo(
        f"\n{len(planned.cases) - skipped} cases, {skipped} skipped,"
        f" {len(planned.tasks)} phases with their controls"
    )
    return EXIT_PASSED


@click.command("describe")
@click.argument("scenario")
@options.patterns("flavors", "flavors")
@click.pass_obj
def describe_command(root: Path, scenario: str, flavors_patterns: tuple[str, ...]) -> int:
    """Show a scenario in full: phases, scripts, checks, and how each flavor runs it."""
    selected = catalog.load(root).select(flavors_patterns, (), [scenario])
    for line in listing.description(planner.make(selected, provider="builtin")):
        click.echo(line)
    return EXIT_PASSED
