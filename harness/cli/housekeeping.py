"""Commands about this machine and the pins: `doctor`, `images`, `lock`, `data`, `clean`."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from harness.base import directory
from harness.base.error import (
    EXIT_NOT_JUDGED,
    EXIT_PASSED,
    EXIT_USAGE,
    HarnessError,
    StoppedError,
    UsageError,
)
from harness.catalog import catalog
from harness.cli import doctor, options
from harness.engine.docker import base_image
from harness.engine.docker.daemon import Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.venv import lock
from harness.engine.venv.engine import VenvEngine
from harness.run import data
from harness.run.gpu_choice import choose_gpu
from harness.run.signals import stop_signals


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
    selected = catalog.load(root).select(flavors_patterns)
    chosen_gpu = choose_gpu(gpu).gpu
    engine = DockerEngine(None if chosen_gpu is None else chosen_gpu.compute_capability)
    engine.preflight(None if chosen_gpu is None else chosen_gpu.uuid)
    accelerator = "virtual" if chosen_gpu is None else "gpu"
    code, cancel = EXIT_PASSED, threading.Event()
    with stop_signals(cancel):
        for flavor in selected.flavors:
            try:
                environment = engine.prepare(flavor, accelerator, click.echo, cancel)
            except StoppedError:
                raise  # every other flavor would say the same
            except HarnessError as problem:
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
    place = options.cache_of(root) / "data"
    directory.require_writable(place)
    for line in data.download(place):
        click.echo(line)
    return EXIT_PASSED


@click.command("clean")
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
