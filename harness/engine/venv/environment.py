"""Environments of the flavors: made by `uv` from a lock file, kept until they are damaged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.base import atomic, claim, text
from harness.base import directory as directories
from harness.base.claim import Claim
from harness.base.error import EngineError, StoppedError, UnavailableError
from harness.catalog.entry import Accelerator
from harness.catalog.flavors import Flavor
from harness.engine.leftovers import Removal
from harness.engine.venv import installed, interpreter, uv
from harness.engine.venv.interpreter import Interpreter

_FACTS = "ready.json"  # written last: an environment without it is not whole
_NAME = re.compile(r".+-(gpu|virtual)-[0-9a-f]{12}")
# Beside an environment: the claim on making it, and the one that those who use it share.
_MAKING, _USING = ".lock", ".use"


@dataclass(frozen=True)
class Made:
    """An environment that is there and whole.

    Attributes:
        python: its interpreter.
        claims: on its use, and on that of what is below it; whoever runs it gives them up
            afterwards.
        notes: what the reader of the reports must know of it.
    """

    python: Path
    provenance: dict[str, str]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()

    def give_up(self) -> None:
        """Gives the claims up."""
        for held in self.claims:
            held.release()


class _Facts(BaseModel):
    """What is known of an environment that is whole.

    Attributes:
        key: digest of what it was made from; its own.
        packages: as `pip freeze` would list them.
        files: see `installed.files`.
    """

    model_config = ConfigDict(strict=True)
    key: str
    packages: list[str]
    files: dict[str, tuple[int, int]]


def make(
    root: Path,
    flavor: Flavor,
    accelerator: str,
    progress: Callable[[str], None],
    cancel: threading.Event,
) -> Made:
    """Makes a flavor's environment below `root` unless a whole one of the same lock is there.

    Raises:
        UnavailableError: there are no requirements for the accelerator, or no Python to be had.
        EngineError: uv failed, or the environment cannot be written.
        StoppedError: the run was stopped; what was made so far is not taken for an environment.
    """
    name, requirements = requirements_of(flavor, accelerator)
    lock = hashlib.sha256(requirements).hexdigest()
    python = interpreter.find(flavor.python, cancel=cancel)
    place = Place(root, flavor, accelerator, lock, python)
    facts = place.prepared(flavor.directory / name, progress, cancel)
    return Made(
        place.executable,
        provenance(python, name, lock, facts.packages),
        (place.using,),
        tuple(place.notes),
    )


def requirements_of(flavor: Flavor, accelerator: str) -> tuple[str, bytes]:
    """Name and content of the lock file of a flavor for an accelerator.

    Raises:
        UnavailableError: there is none, or it cannot be read.
    """
    name = flavor.requirements.get(_kind(accelerator))
    if name is None:
        raise UnavailableError(
            f"the venv engine has no requirements of {flavor.id} for accelerator"
            f" {_kind(accelerator)}: add {_kind(accelerator)} to [requirements] in"
            f" {flavor.directory / 'flavor.toml'}"
        )
    try:
        return name, (flavor.directory / name).read_bytes()
    except OSError as problem:
        raise UnavailableError(f"{flavor.directory / name}: {problem.strerror}") from None


def provenance(
    python: Interpreter, name: str, lock: str, packages: Sequence[str]
) -> dict[str, str]:
    """What the reports have of an environment.

    Args:
        lock: digest of the lock file.
        packages: as `pip freeze` lists them.
    """
    return {
        "python": python.version,
        "python found by": python.source,
        "requirements": f"{name} sha256:{lock}",
        "packages": " ".join(packages),
    }


def _kind(accelerator: str) -> Accelerator:
    return "gpu" if accelerator == "gpu" else "virtual"


def reap(root: Path) -> list[str]:
    """Removes environments that dead drivers have not made to the end; a line for each."""
    removed = []
    for directory in sorted(root.glob("*")):
        if not _NAME.fullmatch(directory.name) or (directory / _FACTS).exists():
            continue
        making = Claim(_beside(directory, _MAKING))
        with contextlib.suppress(OSError):
            if directory.is_dir() and making.take() and not (directory / _FACTS).exists():
                _clear(directory)
                removed.append(f"half-made environment {directory.name} of a driver that is gone")
        making.release()
    return removed


def remove_all(root: Path) -> Removal:
    """Removes every environment that no run makes or uses."""
    found = Removal()
    if root.is_symlink():
        found.used.append(f"environments in {root}: it is a link, others may share what is there")
        return found
    for directory in sorted(path for path in root.glob("*") if path.is_dir()):
        what = f"environment {directory.name}"
        making, using = (Claim(_beside(directory, kind)) for kind in (_MAKING, _USING))
        try:
            if not making.take():
                found.used.append(f"{what}: a run makes it")
            elif not using.take():
                found.used.append(f"{what}: a run uses it")
            else:
                _clear(directory)
                found.removed.append(what)
                using.remove()
                making.remove()
        except OSError as problem:
            found.failed.append(f"{what}: {problem.strerror}")
        finally:
            using.release()
            making.release()
    for path in [*root.glob(f"*{_MAKING}"), *root.glob(f"*{_USING}")]:
        if not path.with_suffix("").exists():
            claim.remove_free(path)
    with contextlib.suppress(OSError):
        root.rmdir()
    return found


class Place:
    """Where an environment is, or is going to be.

    Args:
        inputs: digest of what it is made from, but for the interpreter.

    Attributes:
        using: the claim on its use, held from `prepared` on.
        notes: of what was found there.
    """

    def __init__(
        self, root: Path, flavor: Flavor, accelerator: str, inputs: str, python: Interpreter
    ) -> None:
        made_from = f"{inputs} {python.path} {python.version}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:12]
        self.directory = directory = root / f"{flavor.id}-{accelerator}-{key}"
        self.executable = directory / "bin" / "python"
        self.using = Claim(_beside(directory, _USING))
        self.notes: list[str] = []
        self._making = Claim(_beside(directory, _MAKING))
        self._key = key
        self._python = python
        self._flavor = flavor.id
        self._indexes = flavor.indexes.get(_kind(accelerator), ())

    def prepared(
        self,
        requirements: Path,
        progress: Callable[[str], None],
        cancel: threading.Event,
        finish: Callable[[Path], None] = lambda directory: None,
    ) -> _Facts:
        """Makes it unless it is there and whole; one driver at a time does.

        Args:
            requirements: the hash-locked file.
            finish: what else is done to the directory once the packages are there; where that
                raises something there is no environment.

        Raises:
            EngineError, StoppedError: as for `make`.
        """
        try:
            return self._prepared(requirements, progress, cancel, finish)
        except OSError as problem:
            raise EngineError(
                f"could not make the environment {self.directory}: {problem}"
            ) from problem

    def _prepared(
        self,
        requirements: Path,
        progress: Callable[[str], None],
        cancel: threading.Event,
        finish: Callable[[Path], None],
    ) -> _Facts:
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self._wait(self._making, "another run makes the same environment", progress, cancel)
        except OSError:
            facts, _ = self._examined()
            if facts is None:
                raise
            return facts  # on read-only storage, where nobody removes it either
        try:
            facts, damage = self._examined()
            if facts is None:
                if damage:
                    note = f"{self.directory.name} is damaged and is made again: {damage}"
                    self.notes.append(note)
                    progress(f"{self._flavor}: {note}")
                self._wait(self.using, "another run uses it", progress, cancel)
                progress(f"{self._flavor}: environment with Python {self._python.version}")
                facts = self._build(requirements, cancel, finish)
            self.using.take(shared=True)
            return facts
        except BaseException:
            self.using.release()
            raise
        finally:
            self._making.release()

    def _wait(
        self,
        wanted: Claim,
        reason: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> None:
        if not wanted.take():
            progress(f"{self._flavor}: {reason}; waiting")
            wanted.wait(cancel)

    def _examined(self) -> tuple[_Facts | None, str]:
        """The facts of an environment that is there and whole; else None, and what is damaged."""
        try:
            facts = _Facts.model_validate_json((self.directory / _FACTS).read_bytes())
        except FileNotFoundError:
            return None, ""
        except (OSError, ValidationError) as problem:
            reason = text.one_line(str(problem), 120)
            return None, f"{_FACTS} is not what was written ({reason})"
        if facts.key != self._key:
            return None, f"{_FACTS} is that of another one"
        damage = interpreter.damage(self.executable, self.directory, self._python.version)
        damage = damage or installed.damage(self.directory, facts.files)
        return (None, damage) if damage else (facts, "")

    def _build(
        self, requirements: Path, cancel: threading.Event, finish: Callable[[Path], None]
    ) -> _Facts:
        """Makes it from a hash-locked file."""
        _clear(self.directory)
        directory, executable = str(self.directory), str(self.executable)
        python = str(self._python.path)
        try:
            self._uv(["venv", "--quiet", "--no-project", "--python", python, directory], cancel)
            sync = [
                *("pip", "sync", "--quiet", "--python", executable),
                *("--require-hashes", "--compile-bytecode", str(requirements)),
            ]
            try:
                self._uv(sync, cancel)
            except EngineError:
                # A mirror may have everything, and let nothing else through: it is asked alone
                # first.
                if not self._indexes:
                    raise
                more = [f"--extra-index-url={index}" for index in self._indexes]
                self._uv([*sync, *more, "--index-strategy=unsafe-best-match"], cancel)
            frozen = self._uv(["pip", "freeze", "--quiet", "--python", executable], cancel)
            finish(self.directory)
        except StoppedError:
            raise  # whoever stops a run does not wait for gigabytes to be removed; the next does
        except BaseException:
            _clear(self.directory)
            raise
        files = installed.files(self.directory)
        facts = _Facts(key=self._key, packages=frozen.split(), files=files)
        atomic.write(self.directory / _FACTS, json.dumps(facts.model_dump()))
        return facts

    def _uv(self, arguments: Sequence[str], cancel: threading.Event) -> str:
        return uv.run(arguments, cancel, claim=self._making)


def _beside(directory: Path, kind: str) -> Path:
    return directory.with_name(directory.name + kind)


def _clear(directory: Path) -> None:
    """Removes an environment, first of all what says that it is whole.

    Raises:
        OSError: it stays.
    """
    path = directory / _FACTS
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if path.is_dir():
            directories.remove(path)
        else:
            path.unlink()
    if not directories.remove(directory):
        directory.rmdir()  # says why not
