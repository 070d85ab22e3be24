"""Environments of the flavors: made by `uv` from a lock file, kept until they are damaged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.base import atomic, text
from harness.base import directory as directories
from harness.base.error import EngineError, StoppedError, UnavailableError
from harness.catalog.entry import Accelerator
from harness.catalog.flavors import Flavor
from harness.engine.venv import interpreter, uv
from harness.engine.venv.interpreter import Interpreter

_FACTS = "ready.json"  # written last: an environment without it is not whole
_LOOK_S = 0.1  # how late a cancellation is seen


class _Facts(BaseModel):
    """What is known of an environment that is whole.

    Attributes:
        packages: as `pip freeze` would list them.
    """

    model_config = ConfigDict(strict=True)
    packages: list[str]


def make(
    root: Path,
    flavor: Flavor,
    accelerator: str,
    progress: Callable[[str], None],
    cancel: threading.Event,
) -> tuple[Path, dict[str, str]]:
    """Makes a flavor's environment below `root` unless a whole one of the same lock is there.

    Returns:
        Its interpreter, and its provenance.

    Raises:
        UnavailableError: there are no requirements for the accelerator, or no Python to be had.
        EngineError: uv failed, or the environment cannot be written.
        StoppedError: the run was stopped; what was made so far is not taken for an environment.
    """
    key: Accelerator = "gpu" if accelerator == "gpu" else "virtual"
    name = flavor.requirements.get(key)
    if name is None:
        raise UnavailableError(
            f"the venv engine has no requirements of {flavor.id} for accelerator {key}:"
            f" add {key} to [requirements] in {flavor.directory / 'flavor.toml'}"
        )
    requirements = flavor.directory / name
    try:
        lock = hashlib.sha256(requirements.read_bytes()).hexdigest()
    except OSError as problem:
        raise UnavailableError(f"{requirements}: {problem.strerror}") from None
    python = interpreter.find(flavor.python, cancel=cancel)
    inputs = hashlib.sha256(f"{lock} {python.path} {python.version}".encode()).hexdigest()[:12]
    directory = root / f"{flavor.id}-{accelerator}-{inputs}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(directory.with_suffix(".lock"), flavor.id, progress, cancel):
            facts = _whole(directory, flavor.id, progress)
            if facts is None:
                progress(f"{flavor.id}: environment with Python {python.version}")
                indexes = flavor.indexes.get(key, ())
                facts = _build(directory, python, requirements, indexes, cancel)
    except OSError as problem:
        raise EngineError(f"could not make the environment {directory}: {problem}") from problem
    provenance = {
        "python": python.version,
        "python found by": python.source,
        "requirements": f"{name} sha256:{lock}",
        "packages": " ".join(facts.packages),
    }
    return _executable(directory), provenance


def _executable(directory: Path) -> Path:
    return directory / "bin" / "python"


def _whole(directory: Path, flavor: str, progress: Callable[[str], None]) -> _Facts | None:
    """The facts of an environment that is there and whole, else None; says what is damaged."""
    path = directory / _FACTS
    try:
        facts = _Facts.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as problem:
        damage = f"{_FACTS} is not what was written ({text.one_line(str(problem), 120)})"
    else:
        if os.access(_executable(directory), os.X_OK):  # of what the link points to
            return facts
        damage = "its interpreter is gone"
    progress(f"{flavor}: {directory.name} is damaged and is made again: {damage}")
    return None


def _build(
    directory: Path,
    python: Interpreter,
    requirements: Path,
    indexes: Sequence[str],
    cancel: threading.Event,
) -> _Facts:
    """Makes an environment from a hash-locked file.

    Args:
        indexes: where packages are looked for that this machine's own indexes do not have.
    """
    _clear(directory)
    try:
        executable = str(_executable(directory))
        uv.run(
            ["venv", "--quiet", "--no-project", "--python", str(python.path), str(directory)],
            cancel,
        )
        sync = [
            *("pip", "sync", "--quiet", "--python", executable),
            *("--require-hashes", "--compile-bytecode", str(requirements)),
        ]
        try:
            uv.run(sync, cancel)
        except EngineError:
            # A mirror may have everything, and let nothing else through: it is asked alone first.
            if not indexes:
                raise
            more = [f"--extra-index-url={index}" for index in indexes]
            uv.run([*sync, *more, "--index-strategy=unsafe-best-match"], cancel)
        frozen = uv.run(["pip", "freeze", "--quiet", "--python", executable], cancel)
    except StoppedError:
        raise  # whoever stops a run does not wait for gigabytes to be removed; the next build does
    except BaseException:
        _clear(directory)
        raise
    facts = _Facts(packages=frozen.split())
    atomic.write(directory / _FACTS, json.dumps(facts.model_dump()))
    return facts


def _clear(directory: Path) -> None:
    """Removes an environment, first of all what says that it is whole."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path = directory / _FACTS
        if path.is_dir():
            directories.remove(path)
        else:
            path.unlink()
    directories.remove(directory)


@contextlib.contextmanager
def _locked(
    path: Path, flavor: str, progress: Callable[[str], None], cancel: threading.Event
) -> Iterator[None]:
    """One driver at a time builds an environment; a lock of a dead process is free."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress(f"{flavor}: another run makes the same environment; waiting")
        try:
            lock.acquire(poll_interval=_LOOK_S, cancel_check=cancel.is_set)
        except Timeout:
            raise StoppedError("the run was stopped while it waited for an environment") from None
    try:
        yield
    finally:
        lock.release()
