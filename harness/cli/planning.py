"""Commands that show the plan, or hand it to others: `list`, `describe`, `ci-generate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

import click
from click.core import ParameterSource

from harness.base import atomic
from harness.base.error import EXIT_PASSED, UsageError
from harness.base.text import plural
from harness.catalog import catalog
from harness.catalog.catalog import Catalog
from harness.catalog.variants import Depth
from harness.cli import options
from harness.clusters import files, job, parts
from harness.clusters.job import Job
from harness.plan import families, listing, planner, shards
from harness.plan.plan import Plan
from harness.plan.scale import Goal


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
    chosen = options.providers_of(selected, how["provider"])
    parameters = options.parameters_of(root, how["lms_params"], chosen, how["lms_path"])
    selected = selected.swapping_by(chosen)
    selected.require_case()

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
        if option.name in apart or context.get_parameter_source(option.name) in (
            ParameterSource.DEFAULT,
            ParameterSource.DEFAULT_MAP,
        ):
            continue
        if isinstance(value, bool):
            words = option.opts if value else option.secondary_opts
            yield from words[:1]
            continue
        if isinstance(value, Path):
            if value.exists():
                value = value.resolve()
            if kind != "slurm" and value.is_relative_to(root):
                value = value.relative_to(root)
        elif isinstance(value, tuple):
            value = ",".join(value)
        elif option.name == "lms_params":
            value = " ".join(value.split())
        yield f"{option.opts[0]}={value}"
