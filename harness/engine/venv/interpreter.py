"""Python interpreters for the flavors' environments: where one is found, and where not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from harness.base import text
from harness.base.error import UnavailableError


@dataclass(frozen=True)
class Interpreter:
    """A Python that was run and said its version.

    Attributes:
        source: where it was found: "setting", "PATH", "pyenv" or "uv".
        version: full version, e.g. "3.7.16".
    """

    path: Path
    version: str
    source: str


@dataclass(frozen=True)
class StandIn:
    """An interpreter with its packages that is used in place of a flavor's own environment.

    Attributes:
        setting: the environment variable that named it.
        packages: what is installed, each as `name==version`.
    """

    setting: str
    path: Path
    version: str
    packages: tuple[str, ...]


_PACKAGES = """
import json, sys
from importlib import metadata

found = {(entry.metadata["Name"] or "?", entry.version) for entry in metadata.distributions()}
version = "%d.%d.%d" % sys.version_info[:3]
print(json.dumps([version, sorted("{}=={}".format(*entry) for entry in found)]))
"""


def stand_in(flavor: str, environ: Mapping[str, str] = os.environ) -> StandIn | None:
    """The interpreter that `PYTHON_<flavor>` names (`-` as `_`), or None where it names none.

    Raises:
        UnavailableError: it does not run, or is older than Python 3.8, which cannot list packages.
    """
    name = "PYTHON_" + flavor.replace("-", "_")
    given = environ.get(name)
    if not given:
        return None
    try:
        answer = subprocess.run(
            [given, "-c", _PACKAGES], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        version, packages = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError) as problem:
        raise UnavailableError(
            f"{name}={given} is not a working Python of 3.8 or later"
            f" ({text.one_line(str(problem), 200)})"
        ) from None
    return StandIn(name, Path(given).absolute(), version, tuple(packages))


def setting_name(version: str) -> str:
    """Environment variable that names the interpreter of a version: `PYTHON_3_7`."""
    return "PYTHON_" + version.replace(".", "_")


def find(
    version: str, environ: Mapping[str, str] = os.environ, download: bool = True
) -> Interpreter:
    """Finds a Python of a version ("3.7"): the setting, PATH, pyenv's, then uv's own download.

    Raises:
        UnavailableError: none can be had, or the one that the setting names is not usable.
    """
    name = setting_name(version)
    given = environ.get(name)
    if given:
        found = _probe(Path(given), version, "setting")
        if found is None:
            raise UnavailableError(f"{name}={given} is not a working Python {version}")
        return found
    for path, source in _candidates(version, environ):
        found = _probe(path, version, source)
        if found is not None:
            return found
    if download:
        managed = _managed(version)
        if managed is not None:
            return managed
    raise UnavailableError(
        f"no Python {version}: not on PATH, not under pyenv, and uv could not download it;"
        f" install it or set {name}=/path/to/python{version}"
    )


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    on_path = shutil.which(f"python{version}", path=environ.get("PATH"))
    if on_path:
        yield Path(on_path), "PATH"
    root = environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv"
    installed = Path(root, "versions").glob(f"{version}.*/bin/python")
    for path in sorted(installed, key=_patch_number, reverse=True):
        yield path, "pyenv"


def _patch_number(path: Path) -> int:
    match = re.search(r"\d+\.\d+\.(\d+)", path.parent.parent.name)
    return int(match[1]) if match else -1


def _probe(path: Path, version: str, source: str) -> Interpreter | None:
    """Runs the interpreter: a pyenv shim of a version that is not enabled is there, but fails."""
    code = "import sys, venv; print('%d.%d.%d' % sys.version_info[:3])"
    try:
        answer = subprocess.run(
            [path, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    if not answer.startswith(version + "."):
        return None
    return Interpreter(path, answer, source)


def _managed(version: str) -> Interpreter | None:
    uv = find_uv_bin()
    try:
        subprocess.run(
            [uv, "python", "install", "--quiet", version],
            capture_output=True,
            timeout=600,
            check=True,
        )
        path = subprocess.run(
            [uv, "python", "find", "--managed-python", version],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return _probe(Path(path), version, "uv")
