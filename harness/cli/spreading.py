"""Runs that go on and runs in parts: what `run` takes for them, `merge` and `ci-generate`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from harness.base import atomic, streams
from harness.base.error import EXIT_PASSED, UsageError
from harness.base.text import one_line, plural
from harness.catalog import catalog
from harness.catalog.catalog import Catalog
from harness.catalog.providers import BUILTIN
from harness.cli import options, reporting
from harness.clusters import files, job, parts
from harness.clusters.job import Job
from harness.comparison import source as runs
from harness.merge import merger
from harness.plan import planner, shards
from harness.plan.plan import Plan
from harness.plan.scale import Goal
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
lasting = click.option(
    "--durations",
    type=click.Path(path_type=Path),
    envvar="HARNESS_DURATIONS",
    metavar="RUN",
    help="Shards take equally long by this run, or a file of `report --format durations`.",
)
shard = options.combined(
    click.option(
        "--shard",
        metavar="N/COUNT",
        envvar="HARNESS_SHARD",
        callback=lambda context, parameter, value: shards.parse(value) if value else None,
        help="Only this part of the plan, such as 2/5; `harness merge` puts parts together.",
    ),
    lasting,
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


# Options of `ci-generate` that are its own; all others are handed on to each shard.
_GENERATORS = {"kind", "count", "output", "name", "image", "claim", "reports"}


@click.command("ci-generate")
@click.argument("kind", type=click.Choice(job.KINDS))
@options.selection
@options.where
@options.how
@options.strict
@options.baseline
@options.execution
@options.activations
@lasting
@click.option(
    "--shards",
    "count",
    type=click.IntRange(1, shards.MOST),
    default=4,
    show_default=True,
    envvar="HARNESS_SHARDS",
    help="At most so many: cases that share a save stay together.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="HARNESS_OUTPUT",
    help="The file to write  [default: standard output]",
)
@click.option("--name", help="Of the run, for pods; each run has its own  [default: lms-<time>]")
@click.option(
    "--image", default=job.IMAGE, show_default=True, help="Of pods; {flavor} is the flavor's id."
)
@click.option(
    "--claim", default=job.CLAIM, show_default=True, help="Volume claim for reports of pods."
)
@click.pass_context
def ci_generate_command(
    context: click.Context,
    /,
    kind: job.Kind,
    count: int,
    output: Path | None,
    name: str | None,
    image: str,
    claim: str,
    **how: Any,
) -> int:
    """Write the file with which Slurm, or another service, runs the matrix in shards.

    Each shard gets one GPU, or with --gpu none the virtual accelerator. The selection and all
    options of `run` are handed on.
    """
    root: Path = context.obj
    _require_fit(kind, how)
    gpu = how["gpu"] == "auto"
    patterns = (how[f"{part}_patterns"] for part in ("flavors", "families", "scenarios"))
    selected = catalog.load(root, how["depth"]).select(*patterns)
    selected, _, parameters = options.with_providers(root, selected, how)

    def planned(part: Catalog) -> Plan:
        goal = Goal(how["activations_mib"], None) if gpu else None
        return planner.make(part, parameters=parameters, share=how["share"], goal=goal)

    if kind == "kubernetes":
        made, left_out = parts.by_flavor(selected, planned, count)
        for line in left_out:
            click.echo(f"note: {line}", err=True)
        if not made:
            raise UsageError("no case of the selection needs one flavor alone, as a pod has it")
    else:
        made = (parts.whole(planned(selected), count),)
        if made[0].shards < count and _typed(context, "count"):
            click.echo(
                f"note: {plural(made[0].shards, 'shard')}, not {count}: what shares a save stays"
                " together",
                err=True,
            )
    text = files.render(
        kind,
        Job(
            parts=made,
            options=tuple(_handed_on(context, kind)),
            gpu=gpu,
            docker=how["engine"] == "docker",
            flavors=tuple(flavor.id for flavor in selected.flavors),
            root=root,
            python=Path(sys.executable),
            reports=PurePosixPath(how["reports"] or root / "reports"),
            name=name or f"lms-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}",
            image=image,
            claim=claim,
        ),
    )
    if output is None:
        click.echo(text, nl=False)
    else:
        atomic.write(output, text)
    return EXIT_PASSED


def _require_fit(kind: job.Kind, how: dict[str, Any]) -> None:
    """Raises UsageError for options that mean nothing where the shards run."""
    if how["gpu"] not in ("auto", "none"):
        raise UsageError(
            f"--gpu {how['gpu']} names a GPU of one machine, and each shard uses the one that it is"
            " given: auto (the default), or none"
        )
    if kind == "kubernetes" and how["engine"] == "docker":
        raise UsageError("--engine docker: there is no Docker in a pod; phases run in venv there")
    if kind != "slurm" and how["reports"] is not None:
        raise UsageError(f"--reports: the file for {kind} says where its reports are")


def _handed_on(context: click.Context, kind: job.Kind) -> Iterator[str]:
    """The options of `run` that were given, as its words; paths as they are on every machine."""
    root: Path = context.obj
    apart = _GENERATORS | {"gpu", "engine"}
    if kind == "kubernetes":
        apart |= {"flavors_patterns", "families_patterns"}  # of each part
    yield f"--gpu={context.params['gpu']}"
    yield f"--engine={'venv' if kind == 'kubernetes' else context.params['engine']}"
    for option in context.command.params:
        assert option.name is not None
        value = context.params[option.name]
        if option.name in apart or not _typed(context, option.name):
            continue
        if isinstance(value, bool):
            words = option.opts if value else option.secondary_opts
            yield from words[:1]
            continue
        if isinstance(value, Path):
            value = options.run_directory(root, value)
            if value.exists():
                value = value.resolve()  # `latest` may be another run by then
            if kind != "slurm" and value.is_relative_to(root):
                value = value.relative_to(root)
        elif isinstance(value, tuple):
            value = ",".join(value)
        elif option.name == "lms_params":
            value = " ".join(value.split())
        yield f"{option.opts[0]}={value}"


def _typed(context: click.Context, name: str) -> bool:
    """Whether an option was given, be it as a variable."""
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT
