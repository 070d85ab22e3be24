"""Hash-locked requirements: what `uv pip compile` makes of the `.in` files, and of changed ones."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from uv import find_uv_bin

from harness.base import atomic, text
from harness.base.error import EngineError
from harness.catalog.catalog import Catalog
from harness.catalog.flavors import Flavor
from harness.engine import indexes, requirements
from harness.engine.venv import uv

# What installs the rest, and the GPU bases of one flavor, come with more than one Python: the lock
# holds a version for each, from this one on.
_OLDEST_PYTHON = "3.6"
_DRIVER_PYTHON = "3.10"  # the oldest that pyproject.toml admits
# Packages of a base image that brings TensorFlow are not locked, only what is added to them.
_ADDITIONS = "ngc"
_ADDITIONS_PYTHON = "3.8"


def refresh(catalog: Catalog, root: Path) -> Iterator[str]:
    """Compiles every `.in` file of a checkout; yields a line for each.

    Raises:
        EngineError: a set of requirements has no solution, or the package index does not answer.
    """
    docker = root / "docker"
    driver = root / "pyproject.toml"
    if driver.is_file():
        pins, options = root / "requirements.txt", ("--all-extras",)
        yield _compile(driver, _DRIVER_PYTHON, universal=True, target=pins, options=options)
    yield _compile(docker / "requirements-build.in", _OLDEST_PYTHON, universal=True)
    for flavor in catalog.flavors:
        for source in sorted(flavor.directory.glob("*.in")):
            indexes = _indexes(flavor, source)
            yield _compile(source, *_python(flavor, source), indexes=indexes)


def derive(
    flavor: Flavor,
    name: str,
    package: str,
    version: str,
    target: Path,
    cancel: threading.Event,
) -> None:
    """Locks requirements of a flavor with another version of one package.

    What the flavor's own lock has is preferred, so that no other package changes but where this
    version asks for it.

    Args:
        name: of the lock file in the flavor's directory.
        target: the file to write; whole, or not at all.

    Raises:
        EngineError: there is no solution, or the package index does not answer.
        OSError: the flavor has no such file, or the target cannot be written.
        StoppedError: `cancel` was set.
    """
    own = flavor.directory / name
    source = own.with_suffix(".in")
    pinned = requirements.repinned(source.read_text(encoding="utf-8"), package, version)
    with tempfile.TemporaryDirectory() as place:
        changed, locked = Path(place, source.name), Path(place, name)
        changed.write_text(pinned, encoding="utf-8")
        locked.write_bytes(own.read_bytes())
        python, universal = _python(flavor, source)
        command = [
            *("pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"),
            *("--no-emit-index-url", "--no-emit-find-links"),
            *_options(source.stem, pinned, python, universal),
            *(str(changed), "--output-file", str(locked)),
        ]
        try:
            uv.run(command, cancel)
        except EngineError:
            more = _elsewhere(_indexes(flavor, source))
            if not more:
                raise
            uv.run([*command, *more], cancel)
        atomic.write(target, locked.read_bytes())


def _python(flavor: Flavor, source: Path) -> tuple[str, bool]:
    """The Python to lock for, and whether for all later ones too."""
    if source.stem.endswith(f"-{_ADDITIONS}"):
        return _ADDITIONS_PYTHON, False
    # The TensorFlow 1 image for GPUs has a Python older than the flavor's.
    if any(
        image.requirements == f"{source.stem}.txt" and image.base.startswith("tensorflow/")
        for image in flavor.image
    ):
        return _OLDEST_PYTHON, True
    return flavor.python, False


def _indexes(flavor: Flavor, source: Path) -> tuple[str, ...]:
    """The indexes of the accelerator that a file's packages are for."""
    for accelerator, name in flavor.requirements.items():
        if name == f"{source.stem}.txt":
            return flavor.indexes.get(accelerator, ())
    return ()


def _compile(
    source: Path,
    python: str,
    universal: bool = False,
    target: Path | None = None,
    options: Sequence[str] = (),
    indexes: Sequence[str] = (),
) -> str:
    """Locks one file, by default to the `.txt` beside it.

    Args:
        indexes: where packages are looked for that this machine's own indexes do not have.
    """
    target = target or source.with_suffix(".txt")
    before = target.read_bytes() if target.exists() else b""
    command = [
        *(find_uv_bin(), "pip", "compile", "--quiet", "--upgrade", "--generate-hashes"),
        # Neither this machine's indexes nor its paths belong into the file.
        *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"),
        *_options(source.stem, source.read_text(encoding="utf-8"), python, universal),
        *(*options, source.name, "--output-file", target.name),
    ]
    # From the file's own directory: the comments in the lock name the file as it is given.
    done = _run(command, source.parent)
    if done.returncode != 0 and indexes:
        done = _run([*command, *_elsewhere(indexes)], source.parent)
    name = f"{source.parent.name}/{target.name}"
    if done.returncode != 0:
        raise EngineError(f"{name}: uv pip compile: {text.one_line(done.stderr, 600)}")
    return f"{name}: {'unchanged' if target.read_bytes() == before else 'refreshed'}"


def _options(stem: str, pinned: str, python: str, universal: bool) -> list[str]:
    """What uv has to be told of a file of requirements, by its name and text."""
    return [
        *("--python-version", python, *(["--universal"] if universal else [])),
        *(["--no-deps"] if stem.endswith(f"-{_ADDITIONS}") else []),
        # tf-keras asks for `tensorflow` by name. It and `tensorflow-cpu` are the same files.
        *(["--no-emit-package", "tensorflow"] if "\ntensorflow-cpu==" in f"\n{pinned}" else []),
    ]


def _elsewhere(indexes: Sequence[str]) -> list[str]:
    """Options that make uv look at more indexes, for the best version in all of them."""
    if not indexes:
        return []
    return [
        *(f"--extra-index-url={index}" for index in indexes),
        "--index-strategy=unsafe-best-match",
    ]


def _run(command: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **indexes.uv_variables()},
    )
