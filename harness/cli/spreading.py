"""Runs that go on and runs in parts: what `run` takes for them, and the command `merge`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from harness.base import streams
from harness.base.error import UsageError
from harness.base.text import one_line
from harness.catalog.providers import BUILTIN
from harness.cli import options, reporting
from harness.comparison import source as runs
from harness.merge import merger
from harness.plan import shards
from harness.record import durations, store
from harness.record.models import RunRecord
from harness.report import summary, totals
from harness.report.ci import github
from harness.resumption import source
from harness.resumption.source import Source

resumption = options.combined(
    click.option(
        "--resume",
        metavar="RUN",
        envvar="HARNESS_RESUME",
        help="Go on with a run that did not end: its directory, its id or latest.",
    ),
    click.option(
        "--failed",
        metavar="RUN",
        envvar="HARNESS_FAILED",
        help="Run again the cases of a run that did not pass.",
    ),
)
shard = options.combined(
    click.option(
        "--shard",
        metavar="N/COUNT",
        envvar="HARNESS_SHARD",
        callback=lambda context, parameter, value: shards.parse(value) if value else None,
        help="Only this part of the plan, such as 2/5; `harness merge` puts parts together.",
    ),
    click.option(
        "--durations",
        type=click.Path(path_type=Path),
        envvar="HARNESS_DURATIONS",
        metavar="RUN",
        help="Shards take equally long by this run, or a file of `report --format durations`.",
    ),
)


def earlier(root: Path, how: Mapping[str, Any]) -> Source | None:
    """The run that a run goes on with, or runs again a part of.

    Raises:
        UsageError: there is none, it goes on, or there is nothing to resume.
    """
    resumed, failed = how["resume"], how["failed"]
    if resumed and failed:
        raise UsageError("--resume (RESUME) and --failed (FAILED) exclude each other")
    if failed and how["shard"]:
        raise UsageError("--failed (FAILED) and --shard (SHARD) exclude each other")
    if not resumed and not failed:
        return None
    place = options.run_directory(root, Path(resumed or failed), how["reports"])
    found = source.load(place)
    if resumed:
        found.require_open()
    return found


def continued(context: click.Context, record: RunRecord) -> dict[str, Any]:
    """The values of a command's options; those that were not given are the ones of a run.

    Raises:
        UsageError: the run does not say what it ran, or something that is no option's value.
    """
    name = one_line(record.id, 100)
    if not record.options:
        raise UsageError(
            f"run {name} does not say what was selected: only `harness run` is resumed"
        )
    known = {**record.options, "engine": record.engine}
    if record.accelerator == "virtual":
        known["gpu"] = "none"
    if re.search("[:/]", str(known.get("provider", ""))):
        del known["provider"]
    values = dict(context.params)
    for parameter in context.command.params:
        option = str(parameter.name)
        default = context.get_parameter_source(option) is ParameterSource.DEFAULT
        if option not in options.RESUMED or option not in known or not default:
            continue
        try:
            values[option] = parameter.process_value(context, known[option])
        except (click.ClickException, TypeError, ValueError) as problem:
            words = one_line(str(problem))
            raise UsageError(f"run {name}: its option {option} is none: {words}") from None
    if "provider" not in known and values["provider"] == BUILTIN.id:
        raise UsageError(f"run {name} was with a provider of its own file: name it with --provider")
    return values


def durations_of(root: Path, name: Path | None) -> dict[str, float]:
    """Seconds of phases by key: of a run, or of a file that holds just that.

    Raises:
        UsageError: it is neither.
    """
    if name is None:
        return {}
    place = options.run_directory(root, name)
    if not place.is_dir() and place.name != store.FILE:
        return durations.load(place)
    return durations.of(runs.record(place))


@click.command("merge")
@click.argument("directories", nargs=-1, required=True, envvar="HARNESS_DIRS")
@click.option(
    "--reports",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    envvar="HARNESS_REPORTS",
    help="Where the run's directory is made  [default: reports]",
)
@options.baseline
@click.pass_obj
def merge_command(
    root: Path, directories: tuple[str, ...], reports: Path | None, baseline: Path | None
) -> int:
    """Make one run of shards: of their directories, or of reports that hold some of them.

    A shard that is missing, or did not end, leaves the run without verdicts: exit code 2.
    """
    streams.standard.spare()
    order = merger.Order(
        reports or root / "reports",
        shlex.join(["harness", *sys.argv[1:]]),
        None if baseline is None else options.baseline_of(root, baseline),
    )
    places = [options.run_directory(root, Path(place), reports) for place in directories]
    record, directory = merger.merge(places, order)
    with github.commands_stopped(click.echo):
        summary.terminal(record, Console(soft_wrap=False), directory)
    reporting.tell_github(record, directory)
    return totals.exit_code(record)
