"""Commands about this machine and the pins: `doctor`, `images`, `lock`, `data`, `clean`."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import click

from harness.base import directory, streams
from harness.base.error import (
    EXIT_NOT_JUDGED,
    EXIT_PASSED,
    EXIT_USAGE,
    HarnessError,
    StoppedError,
)
from harness.base.signals import stop_signals
from harness.base.stop import Stop, waited_for
from harness.catalog import catalog
from harness.cli import doctor, options
from harness.engine import leftovers
from harness.engine.docker import base_image
from harness.engine.docker.daemon import Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.locking import lock
from harness.engine.venv.engine import VenvEngine
from harness.run import data, machine
from harness.run.gpu_choice import choose_gpus


@click.command("doctor")
@click.pass_obj
def doctor_command(root: Path) -> int:
    """Say what this machine can and cannot run, and what to install."""
    findings = doctor.examine(catalog.load(root), root, options.cache_of(root))
    for line in doctor.lines(findings):
        click.echo(line)
    return EXIT_PASSED if doctor.usable(findings) else EXIT_USAGE


@click.command("images")
@options.patterns("flavors", "flavors")
@click.option("--gpu", default="auto", show_default=True, envvar="HARNESS_GPU")
@click.pass_obj
def images_command(root: Path, flavors_patterns: tuple[str, ...], gpu: str) -> int:
    """Build every flavor's image."""
    streams.standard.spare()
    selected = catalog.load(root).select(flavors_patterns)
    gpus = choose_gpus(gpu).gpus
    machine.require_one_image(selected.flavors, gpus)
    capability = gpus[0].compute_capability if gpus else None
    engine = DockerEngine(capability, cache=options.cache_of(root))
    engine.preflight(None)
    for chosen in gpus:
        engine.preflight(chosen.uuid)
    accelerator = "gpu" if gpus else "virtual"
    code, cancel = EXIT_PASSED, Stop()
    with stop_signals(cancel), contextlib.closing(engine):
        for line in engine.reap():
            click.echo(f"removed {line}")
        for flavor in selected.flavors:
            try:
                environment = waited_for(
                    partial(engine.prepare, flavor, accelerator, click.echo, cancel),
                    cancel,
                    f"making the image of {flavor.id}",
                    click.echo,
                )
            except StoppedError:
                raise  # every other flavor would say the same
            except HarnessError as problem:
                if cancel.is_set():  # what was stopped is not broken
                    raise StoppedError("the run was stopped") from problem
                click.echo(f"{flavor.id}: {problem}", err=True)
                code = EXIT_NOT_JUDGED
                continue
            click.echo(f"{flavor.id}: {environment.handle}")
            for note in environment.notes:
                click.echo(f"{flavor.id}: note: {note}")
    return code


@click.command("lock")
@options.patterns("flavors", "flavors")
@click.pass_obj
def lock_command(root: Path, flavors_patterns: tuple[str, ...]) -> int:
    """Refresh the pins: hash-locked requirements and digests of the base images."""
    streams.standard.spare()
    selected = catalog.load(root).select(flavors_patterns)
    directory.require_writable(root / "docker")
    for line in lock.refresh(selected, root):
        click.echo(line)
    references = dict.fromkeys(image.base for flavor in selected.flavors for image in flavor.image)
    for line in base_image.refresh(root / "docker", list(references), Daemon()):
        click.echo(line)
    return EXIT_PASSED


@click.command("data")
@click.pass_obj
def data_command(root: Path) -> int:
    """Download the real data sets and check their digests."""
    streams.standard.spare()
    place = options.cache_of(root) / "data"
    directory.require_writable(place)
    cancel = Stop()
    with stop_signals(cancel):
        for line in data.download(place, cancel):
            click.echo(line)
    return EXIT_PASSED


@click.command("clean")
@click.option(
    "--reports",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HARNESS_REPORTS",
    help="Where runs are, whose leftovers go [default: reports/ of the checkout].",
)
@click.pass_obj
def clean_command(root: Path, reports: Path | None) -> int:
    """Remove our containers, images and environments, and nothing that a living run has."""
    streams.standard.spare()
    found = VenvEngine(options.cache_of(root)).clean()
    found.removed += leftovers.reap(reports or root / "reports")
    docker, notes = DockerEngine(cache=options.cache_of(root)), []
    try:
        docker.preflight(None)
        found += docker.clean()
    except HarnessError as problem:
        notes.append(f"containers and images were not looked at: {problem}")
    for line in found.removed:
        click.echo(f"removed {line}")
    for line in found.used:
        click.echo(f"left {line}")
    for line in notes:
        click.echo(f"note: {line}")
    for line in found.failed:
        click.echo(f"could not remove {line}", err=True)
    counts = [
        f"{len(found.removed)} removed",
        f"{len(found.used)} left",
        f"{len(found.failed)} not removed",
    ]
    click.echo(", ".join(counts))
    return EXIT_NOT_JUDGED if found.failed else EXIT_PASSED
