"""The `harness` command: reads options, calls the modules, turns results into exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from harness import (
    catalog,
    data,
    doctor,
    judgement,
    listing,
    lock,
    machine,
    options,
    plan,
    proof,
    prover,
    report,
    repro,
    run,
    summary,
    tally,
)
from harness.console import ConsoleObserver
from harness.engine.docker import DockerEngine
from harness.engine.venv import VenvEngine
from harness.error import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOT_JUDGED,
    EXIT_PASSED,
    EXIT_USAGE,
    HarnessError,
    UsageError,
)
from harness.record import Status
from harness.text import MIB

_console = Console(soft_wrap=False)


def main() -> None:
    """Entry point: one line and the right exit code for every user's mistake."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.Abort:
        code = EXIT_INTERRUPTED
    except click.UsageError as problem:
        problem.show(sys.stderr)
        code = EXIT_USAGE
    except UsageError as problem:
        click.echo(f"harness: {problem}", err=True)
        code = EXIT_USAGE
    except HarnessError as problem:
        click.echo(f"harness: {problem}", err=True)
        code = EXIT_NOT_JUDGED
    except BrokenPipeError:
        # The reader of our output has left (`harness list | head`); nothing more to tell it.
        sys.stderr.close()
        code = EXIT_NOT_JUDGED
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        click.echo(f"harness: {where}{problem.strerror or problem}", err=True)
        code = EXIT_NOT_JUDGED
    except KeyboardInterrupt:
        click.echo("harness: interrupted", err=True)
        code = EXIT_INTERRUPTED
    sys.exit(code if isinstance(code, int) else EXIT_PASSED)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(__file__).resolve().parent.parent,
    help="Checkout that holds docker/ and scenarios/.",
)
@click.pass_context
def cli(context: click.Context, root: Path) -> None:
    """Does large-model swapping still work after a model is saved and loaded?"""
    context.obj = root.resolve()


# --- commands ---------------------------------------------------------------------------------


@cli.command("run")
@options.selection
@options.where
@options.how
@click.option(
    "--share/--no-share",
    default=True,
    envvar="HARNESS_SHARE",
    help="Run a phase once when several scenarios need the same.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    envvar="HARNESS_JOBS",
    help="Phases at a time on the CPU.",
)
@click.pass_obj
def run_command(
    root: Path,
    /,
    flavors_patterns: tuple[str, ...],
    families_patterns: tuple[str, ...],
    scenarios_patterns: tuple[str, ...],
    gpu: str,
    engine: str,
    share: bool,
    jobs: int | None,
    **how: Any,
) -> int:
    """Run the matrix, or a part of it, and write the reports."""
    parameters = options.parameters_of(how["lms_params"], how["provider"], how["lms_path"])
    selected = catalog.load(root).select(flavors_patterns, families_patterns, scenarios_patterns)
    chosen = machine.choose(gpu, engine, options.cache_of(root))
    planned = plan.make(selected, provider=how["provider"], parameters=parameters, share=share)
    settings = options.settings_of(
        root, how, chosen.notes, jobs=jobs, share=share, gpu=gpu, engine=engine
    )
    for note in chosen.notes:
        click.echo(f"note: {note}")
    with ConsoleObserver(_console) as observer:
        record, directory = run.execute(planned, chosen.engine, settings, chosen.gpu, observer)
    summary.terminal(record, _console, directory)
    return EXIT_INTERRUPTED if record.state == "interrupted" else tally.exit_code(record)


def _one(command: str, root: Path, flavor: str, scenario: str) -> catalog.Catalog:
    """The catalog with one flavor and one scenario in it."""
    selected = catalog.load(root).select([flavor], (), [scenario])
    if len(selected.flavors) != 1 or len(selected.scenarios) != 1:
        raise UsageError(f"{command} takes one flavor and one scenario; `harness list` shows them")
    return selected


@cli.command("repro")
@click.argument("flavor")
@click.argument("scenario")
@options.where
@options.how
@click.option(
    "--shell",
    is_flag=True,
    envvar="HARNESS_SHELL",
    help="End in a shell where the phase that failed (else the last one) ran.",
)
@click.pass_obj
def repro_command(
    root: Path, /, flavor: str, scenario: str, gpu: str, engine: str, shell: bool, **how: Any
) -> int:
    """Reproduce one scenario by hand, its logs on the terminal."""
    parameters = options.parameters_of(how["lms_params"], how["provider"], how["lms_path"])
    selected = _one("repro", root, flavor, scenario)
    chosen = machine.choose(gpu, engine, options.cache_of(root))
    planned = plan.make(selected, provider=how["provider"], parameters=parameters)
    how["keep"] = True
    settings = options.settings_of(root, how, chosen.notes, jobs=1, gpu=gpu, engine=engine)
    for note in chosen.notes:
        click.echo(f"note: {note}")
    with ConsoleObserver(_console, follow=True) as observer:
        record, directory = run.execute(planned, chosen.engine, settings, chosen.gpu, observer)
    summary.terminal(record, _console, directory)
    for case in record.cases:
        click.echo(f"\n{case.id}")
        for line in judgement.verdicts([*case.checks, *case.evidence]):
            click.echo(line)
    if shell and record.state != "interrupted":
        repro.enter(planned, record, directory, chosen.engine, settings, chosen.gpu)
    return EXIT_INTERRUPTED if record.state == "interrupted" else tally.exit_code(record)


@cli.command("prove")
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
    type=click.FloatRange(0, 1, min_open=True),
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
    gpu: str,
    engine: str,
    goal_mib: int,
    goal_share: float | None,
    most: int,
    **how: Any,
) -> int:
    """Prove on a GPU that one case swaps: peaks, bytes, and a ceiling between the peaks."""
    parameters = options.parameters_of(how["lms_params"], how["provider"], how["lms_path"])
    selected = _one("prove", root, flavor, scenario)
    chosen = machine.choose(gpu, engine, options.cache_of(root))
    if chosen.gpu is None:
        raise UsageError(f"a proof needs a GPU: {chosen.notes[0]}")
    goal = goal_mib * MIB
    if goal_share is not None:
        if chosen.gpu.total_bytes is None:
            raise UsageError("--share: the GPU does not tell its memory; use --goal-mib")
        goal = round(goal_share * chosen.gpu.total_bytes)
    planned = plan.make(selected, provider=how["provider"], parameters=parameters)
    settings = options.settings_of(root, how, chosen.notes, gpu=gpu, engine=engine)
    with ConsoleObserver(_console) as observer:
        made, directory = prover.prove(
            planned, chosen.engine, settings, chosen.gpu, observer, goal, most
        )
    for line in proof.lines(made):
        click.echo(line)
    click.echo(f"proof: {options.shown(directory / prover.FILE)}")
    return {Status.PASSED: EXIT_PASSED, Status.FAILED: EXIT_FAILED}.get(
        made.status, EXIT_NOT_JUDGED
    )


@cli.command("list")
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
    planned = plan.make(selected, provider="builtin")
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


@cli.command("describe")
@click.argument("scenario")
@options.patterns("flavors", "flavors")
@click.pass_obj
def describe_command(root: Path, scenario: str, flavors_patterns: tuple[str, ...]) -> int:
    """Show a scenario in full: phases, scripts, checks, and how each flavor runs it."""
    selected = catalog.load(root).select(flavors_patterns, (), [scenario])
    for line in listing.description(plan.make(selected, provider="builtin")):
        click.echo(line)
    return EXIT_PASSED


@cli.command("doctor")
@click.pass_obj
def doctor_command(root: Path) -> int:
    """Say what this machine can and cannot run, and what to install."""
    findings = doctor.examine(catalog.load(root), root, options.cache_of(root))
    for line in doctor.lines(findings):
        click.echo(line)
    return EXIT_PASSED if doctor.usable(findings) else EXIT_USAGE


@cli.command("images")
@options.patterns("flavors", "flavors")
@click.option("--gpu", default="auto", show_default=True, envvar="HARNESS_GPU")
@click.pass_obj
def images_command(root: Path, flavors_patterns: tuple[str, ...], gpu: str) -> int:
    """Build every flavor's image."""
    selected = catalog.load(root).select(flavors_patterns)
    chosen_gpu, _ = machine.choose_gpu(gpu)
    engine = DockerEngine(None if chosen_gpu is None else chosen_gpu.compute_capability)
    engine.preflight(None if chosen_gpu is None else chosen_gpu.uuid)
    code = EXIT_PASSED
    for flavor in selected.flavors:
        try:
            accelerator = "virtual" if chosen_gpu is None else "gpu"
            environment = engine.prepare(flavor, accelerator, click.echo)
            click.echo(f"{flavor.id}: {environment.handle}")
        except HarnessError as problem:
            click.echo(f"{flavor.id}: {problem}", err=True)
            code = EXIT_NOT_JUDGED
    return code


@cli.command("lock")
@options.patterns("flavors", "flavors")
@click.pass_obj
def lock_command(root: Path, flavors_patterns: tuple[str, ...]) -> int:
    """Refresh the pins: hash-locked requirements and digests of the base images."""
    for line in lock.refresh(catalog.load(root).select(flavors_patterns), root):
        click.echo(line)
    return EXIT_PASSED


@cli.command("data")
@click.pass_obj
def data_command(root: Path) -> int:
    """Download the real data sets and check their digests."""
    for line in data.download(options.cache_of(root) / "data"):
        click.echo(line)
    return EXIT_PASSED


@cli.command("report")
@click.argument("run_directory", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def report_command(root: Path, run_directory: Path) -> int:
    """Rebuild every report of a run from its record."""
    if not run_directory.exists() and (root / "reports" / run_directory).is_dir():
        run_directory = root / "reports" / run_directory
    record = report.load(run_directory)
    report.write_all(record, run_directory, latest=False)
    summary.terminal(record, _console)
    return tally.exit_code(record)


@cli.command("judge")
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


@cli.command("clean")
@click.pass_obj
def clean_command(root: Path) -> int:
    """Remove our containers, images and environments, and nothing else."""
    removed = VenvEngine(options.cache_of(root)).clean()
    docker = DockerEngine()
    try:
        docker.preflight(None)
    except UsageError:
        pass  # no daemon: nothing of ours can be there
    else:
        removed += docker.clean()
    for line in removed:
        click.echo(f"removed {line}")
    click.echo(f"{len(removed)} removed")
    return EXIT_PASSED
