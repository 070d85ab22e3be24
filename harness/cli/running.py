"""Commands that run phases: `run`, `soak`, `repro`, `prove`."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from harness.base import crash, streams
from harness.base.error import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOT_JUDGED,
    EXIT_PASSED,
    UsageError,
)
from harness.base.stop import waited_for
from harness.base.text import MIB, one_line
from harness.catalog import catalog
from harness.catalog.catalog import Catalog
from harness.catalog.variants import Depth
from harness.cli import judgement, options, reporting, spreading
from harness.cli.console import ConsoleObserver
from harness.plan import groups, identity, planner, sensitivity
from harness.plan.plan import Plan
from harness.plan.scale import Goal
from harness.record import store
from harness.record.checks import Status
from harness.record.models import RunRecord
from harness.report import summary, totals
from harness.report.ci import github
from harness.report.tables import sensitivity as table
from harness.report.timeline import chart
from harness.report.timeline.timelines import timelines
from harness.resumption import digests
from harness.run import machine, repro, run
from harness.run.portion import portion
from harness.run.proof import proof, prover
from harness.run.settings import Settings
from harness.run.soak import extract, repeater, soak, tally

_console = Console(soft_wrap=False)
# What a soak runs where nothing is selected, on one flavor of each way to run a model.
_SOAKED_FAMILY = "keras_saveload"


@dataclass(frozen=True)
class Prepared:
    """What a command is to run, where, and how."""

    planned: Plan
    chosen: machine.Machine
    settings: Settings

    def execute(self, follow: bool) -> tuple[RunRecord, Path]:
        """Runs the plan and prints its summary; returns the record and the run's directory."""
        with github.commands_stopped(click.echo):
            self.tell_notes()
            with ConsoleObserver(_console, follow=follow) as observer:
                record, directory = run.execute(
                    self.planned, self.chosen.engine, self.settings, self.chosen.gpus, observer
                )
            summary.terminal(record, _console, directory)
        reporting.tell_github(record, directory)
        return record, directory

    def tell_notes(self) -> None:
        """Prints the fallbacks that were taken."""
        for note in self.settings.notes:
            click.echo(f"note: {note}")


def prepare(root: Path, selected: Catalog, how: Mapping[str, Any]) -> Prepared:
    """What all these commands begin with: options checked, GPU and engine chosen, the plan.

    Args:
        selected: the part of the catalog.
        how: values of the options in `options.where` and `options.how`, and of those in
            `options.execution`, `options.strict`, `options.baseline` and `options.activations`
            where a command has them.

    Raises:
        UsageError: an option is wrong, no case is selected, or this machine cannot run it.
    """
    # What is run is in the record.
    streams.standard.spare()
    selected, providers, parameters = options.with_providers(root, selected, how)
    reports = how["reports"] or root / "reports"
    chosen = waited_for(
        lambda: machine.choose(how["gpu"], how["engine"], options.cache_of(root), reports),
        threading.Event(),  # SIGINT raises here
        "asking what this machine has",
    )
    settings = options.settings_of(root, how, providers, chosen.notes)
    options.require_places(settings, chosen.engine)
    goal = None
    if chosen.gpus:
        # Batches are the same everywhere: what fits the smallest GPU fits all.
        told = [gpu.total_bytes for gpu in chosen.gpus if gpu.total_bytes is not None]
        goal = Goal(how.get("activations_mib", 0), min(told, default=None))
    planned = planner.make(
        selected,
        parameters=parameters,
        share=settings.share,
        goal=goal,
    )
    if chosen.engine.name == "docker":
        machine.require_one_image(planned.needed, chosen.gpus)
    files = {name: entry.file for name, entry in settings.providers.items() if entry.file}
    outside = digests.of(root, settings.data, settings.lms_path, files)
    accelerator = "gpu" if chosen.gpus else "virtual"
    if chosen.engine.name == "venv" and chosen.gpus:
        outside.update(_flags_of_host(planned))
    basis = identity.basis(planned, outside, chosen.engine.name, accelerator)
    return Prepared(planned, chosen, replace(settings, basis=basis))


def _flags_of_host(planned: Plan) -> dict[str, str]:
    """The host's flags for XLA where a flavor takes them over: they change what is computed.

    Where CUDA is differs from machine to machine, and is in the flavor's provenance alone.
    """
    taken = [flavor.inherited(os.environ).get("XLA_FLAGS") for flavor in planned.needed]
    flags = next((value for value in taken if value is not None), None)
    return {} if flags is None else {"XLA_FLAGS of the host": flags}


def one_case(command: str, root: Path, flavor: str, scenario: str) -> Catalog:
    """The catalog with one flavor and one scenario in it; one of `sensitivity` is there too."""
    whole = catalog.load(root)
    known = {entry.id for entry in whole.scenarios}
    if scenario not in known and scenario in {entry.id for entry in sensitivity.INJECTIONS}:
        whole = sensitivity.catalog(whole)
    selected = whole.select([flavor], (), [scenario])
    if len(selected.flavors) != 1 or len(selected.scenarios) != 1:
        raise UsageError(f"{command} takes one flavor and one scenario; `harness list` shows them")
    return selected


def _exit_code(record: RunRecord, directory: Path) -> int:
    for phase in totals.bugs(record):
        place = options.shown(directory / phase.directory / "details.json")
        click.echo(f"harness: {phase.reason}; its traceback is in {place}", err=True)
    return EXIT_INTERRUPTED if record.state == "interrupted" else totals.exit_code(record)


@click.command("run")
@options.selection
@options.where
@options.how
@options.strict
@options.baseline
@options.execution
@options.activations
@spreading.resumption
@spreading.shard
@click.pass_context
def run_command(context: click.Context, /, **how: Any) -> int:
    """Run the matrix, or a part of it, and write the reports."""
    root: Path = context.obj
    earlier = spreading.earlier(root, how)
    if earlier is not None:
        how = spreading.continued(context, earlier.record)
    patterns = how["flavors_patterns"], how["families_patterns"], how["scenarios_patterns"]
    selected = catalog.load(root, how["depth"]).select(*patterns)
    durations = spreading.durations_of(root, how["durations"])
    prepared = prepare(root, selected, how)
    if earlier is not None and how["failed"]:
        planned, settings = portion.of_failed(prepared.planned, prepared.settings, earlier)
        if not planned.cases:
            click.echo(f"every case of run {one_line(earlier.record.id)} passed: nothing to run")
            return EXIT_PASSED
    else:
        planned, settings = portion.of_shard(
            prepared.planned, prepared.settings, how["shard"], durations, earlier
        )
    if prepared.chosen.engine.name == "docker" and not prepared.chosen.gpus:
        # Most of a short phase is the import of its framework, which a container does anew. On a
        # GPU memory is sampled, of each execution by itself.
        planned = groups.compared(planned)
    prepared = replace(prepared, planned=planned, settings=settings)
    record, directory = prepared.execute(follow=False)
    return _exit_code(record, directory)


def _soaked(root: Path, depth: Depth, *patterns: tuple[str, ...]) -> Catalog:
    """What a soak runs: the selection as for `run`, or where nothing is selected a small default.

    Args:
        patterns: of flavors, of families, of scenarios.
    """
    entire = catalog.load(root, depth)
    if any(patterns):
        return entire.select(*patterns)
    return entire.representatives().select(families=[_SOAKED_FAMILY])


@click.command("soak")
@options.selection
@options.where
@options.how
@options.strict
@options.execution
@options.activations
@options.repeats
@click.pass_obj
def soak_command(
    root: Path,
    /,
    flavors_patterns: tuple[str, ...],
    families_patterns: tuple[str, ...],
    scenarios_patterns: tuple[str, ...],
    depth: Depth,
    repeats: int,
    **how: Any,
) -> int:
    """Run the same plan again and again, and count what differs between the repeats.

    Without a selection: the family keras_saveload on one flavor of each way to run a model.
    """
    selected = _soaked(root, depth, flavors_patterns, families_patterns, scenarios_patterns)
    made, file = _repeat(prepare(root, selected, how), repeats)
    for line in soak.lines(made):
        click.echo(line)
    click.echo(f"soak: {options.shown(file)}")
    return soak.exit_code(made)


def _repeat(prepared: Prepared, repeats: int) -> tuple[soak.Soak, Path]:
    """Runs a plan several times; what differs between the repeats, and the file with it."""
    prepared.tell_notes()
    return repeater.repeat(
        prepared.planned,
        prepared.chosen.engine,
        prepared.settings,
        prepared.chosen.gpus,
        lambda number: ConsoleObserver(_console, title=f"repeat {number} of {repeats}"),
        repeats,
    )


@click.command("repro")
@click.argument("flavor")
@click.argument("scenario")
@options.where
@options.how
@options.strict
@options.activations
@options.repeat
@click.option(
    "--shell",
    is_flag=True,
    envvar="HARNESS_SHELL",
    help="End in a shell where the phase that failed (else the last one) ran.",
)
@click.pass_obj
def repro_command(
    root: Path, /, flavor: str, scenario: str, shell: bool, repeat: int, **how: Any
) -> int:
    """Reproduce one scenario by hand, its logs on the terminal; or again and again, and count."""
    if shell and repeat > 1:
        raise UsageError("--shell opens the place of one run: leave --repeat (REPEAT) out")
    selected = one_case("repro", root, flavor, scenario)
    if repeat > 1:
        return _repeated(prepare(root, selected, {**how, "jobs": 1}), repeat)
    prepared = prepare(root, selected, {**how, "keep": True, "jobs": 1})
    record, directory = prepared.execute(follow=True)
    for case in record.cases:
        click.echo(f"\n{case.id}")
        for line in judgement.verdicts([*case.checks, *case.behind]):
            click.echo(line)
        for timeline in timelines(record, case, directory):
            chart.show(timeline, _console)
    if shell and record.state != "interrupted":
        chosen = prepared.chosen
        with crash.kept(directory):
            repro.enter(
                prepared.planned, record, directory, chosen.engine, prepared.settings, chosen.gpus
            )
    return _exit_code(record, directory)


def _repeated(prepared: Prepared, repeats: int) -> int:
    """Runs a case several times; says of each check whether it passed always, never, or flaky."""
    made, file = _repeat(prepared, repeats)
    found = []
    if made.repeats and made.repeats[0].directory:
        first = store.load(file.parent / made.repeats[0].directory)
        found = tally.tallies(extract.extract(first).verdicts, made)
    for line in tally.lines(found, made):
        click.echo(line)
    click.echo(f"repeats: {options.shown(file)}")
    return tally.exit_code(made)


@click.command("sensitivity")
@options.patterns("flavors", "flavors")
@options.patterns("scenarios", "faults")
@options.where
@options.how
@options.strict
@options.execution
@options.activations
@click.pass_obj
def sensitivity_command(
    root: Path,
    /,
    flavors_patterns: tuple[str, ...],
    scenarios_patterns: tuple[str, ...],
    **how: Any,
) -> int:
    """Inject faults into the provider, and show by which check each is caught."""
    whole = sensitivity.catalog(catalog.load(root))
    selected = whole.select(flavors_patterns, (), scenarios_patterns)
    prepared = prepare(root, selected, how)
    record, directory = prepared.execute(follow=False)
    chosen = {entry.id for entry in selected.scenarios}
    faults = {entry.id: entry.words for entry in sensitivity.INJECTIONS if entry.id in chosen}
    for line in table.lines(record, faults):
        click.echo(line)
    click.echo(f"table: {options.shown(table.write(record, faults, directory))}")
    return _exit_code(record, directory)


@click.command("prove")
@click.argument("flavor")
@click.argument("scenario")
@options.where
@options.how
@click.option(
    "--goal-mib",
    type=click.IntRange(1, 10**7),
    default=2048,
    show_default=True,
    envvar="HARNESS_GOAL_MIB",
    help="What the control's step has to take on the GPU.",
)
@click.option(
    "--share",
    "goal_share",
    type=options.Finite(0, 1, min_open=True),
    help="The same as a part of the GPU's memory.",
)
@click.option(
    "--most",
    type=click.IntRange(1, 10**6),
    default=4096,
    show_default=True,
    help="Greatest factor on the batch size.",
)
@click.pass_obj
def prove_command(
    root: Path,
    /,
    flavor: str,
    scenario: str,
    goal_mib: int,
    goal_share: float | None,
    most: int,
    **how: Any,
) -> int:
    """Prove on a GPU that one case swaps: peaks, bytes, and a ceiling between the peaks."""
    prepared = prepare(root, one_case("prove", root, flavor, scenario), how)
    chosen = prepared.chosen
    if not chosen.gpus:
        raise UsageError(f"a proof needs a GPU: {chosen.notes[0]}")
    if len(chosen.gpus) > 1:
        raise UsageError(f"prove takes one GPU, and GPU={how['gpu']} names {len(chosen.gpus)}")
    (gpu,) = chosen.gpus
    goal = goal_mib * MIB
    if goal_share is not None:
        if gpu.total_bytes is None:
            raise UsageError("--share: the GPU does not tell its memory; use --goal-mib")
        goal = round(goal_share * gpu.total_bytes)
    with ConsoleObserver(_console) as observer:
        made, directory = prover.prove(
            prepared.planned, chosen.engine, prepared.settings, gpu, observer, goal, most
        )
    for line in proof.lines(made):
        click.echo(line)
    click.echo(f"proof: {options.shown(directory / prover.FILE)}")
    if made.state == "interrupted":
        return EXIT_INTERRUPTED
    return {Status.PASSED: EXIT_PASSED, Status.FAILED: EXIT_FAILED}.get(
        made.status, EXIT_NOT_JUDGED
    )
