"""Python interpreters for the flavors' environments: where one is found, and where not."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base import text
from harness.base.error import EngineError, UnavailableError
from harness.engine.venv import uv

_PREFERENCES = ("UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_PYTHON_PREFERENCE")


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
    named = environ.get(name)
    if not named:
        return None
    try:
        answer = subprocess.run(
            [named, "-c", _PACKAGES], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        version, packages = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError) as problem:
        raise UnavailableError(
            f"{name}={named} is not a working Python of 3.8 or later"
            f" ({text.one_line(str(problem), 200)})"
        ) from None
    return StandIn(name, Path(named).absolute(), version, tuple(packages))


def setting_name(version: str) -> str:
    """Environment variable that names the interpreter of a version: `PYTHON_3_7`."""
    return "PYTHON_" + version.replace(".", "_")


def find(
    version: str,
    environ: Mapping[str, str] = os.environ,
    download: bool = True,
    cancel: threading.Event | None = None,
) -> Interpreter:
    """Finds a Python of a version ("3.7"): the setting, PATH, pyenv's, then uv's own download.

    Raises:
        UnavailableError: none can be had, or the one that the setting names is not usable.
        StoppedError: `cancel` was set.
    """
    cancel = cancel or threading.Event()
    name = setting_name(version)
    named = environ.get(name)
    if named:
        found = _probe(named, version, "setting")
        if found is None:
            raise UnavailableError(f"{name}={named} is not a working Python {version}")
        return found
    for path, source in ((environ.get("PATH", ""), "PATH"), (_pyenv(version, environ), "pyenv")):
        found = _found_by_uv(version, path, source, cancel) if path else None
        if found is not None:
            return found
    if download:
        try:
            uv.run(["python", "install", "--quiet", version], cancel)
            found = _found_by_uv(version, None, "uv", cancel)
        except EngineError:
            found = None
        if found is not None:
            return found
    raise UnavailableError(
        f"no Python {version}: not on PATH, not under pyenv, and uv could not download it;"
        f" install it or set {name}=/path/to/python{version}"
    )


def damage(python: Path, environment: Path, version: str) -> str:
    """Why an environment's interpreter cannot be used, in a few words; "" where it can.

    Args:
        version: full version that it was made with.
    """
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.prefix)"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
    except (FileNotFoundError, PermissionError):
        return "its interpreter is gone"
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        return f"its interpreter does not run ({text.one_line(str(problem), 120)})"
    found, _, prefix = answer.partition(" ")
    if found != version:
        return f"its interpreter is Python {found}"
    with contextlib.suppress(OSError):
        if Path(prefix).samefile(environment):
            return ""
    return "its interpreter is that of another environment"


def _pyenv(version: str, environ: Mapping[str, str]) -> str:
    """pyenv's versions as a search path, the latest first: uv does not know pyenv."""
    root = environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv"
    installed = Path(root, "versions").glob(f"{version}.*/bin")
    latest_first = sorted(installed, key=lambda path: _numbers(path.parent.name), reverse=True)
    return os.pathsep.join(str(path) for path in latest_first)


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


def _found_by_uv(
    version: str, path: str | None, source: str, cancel: threading.Event
) -> Interpreter | None:
    """What uv finds on a search path, or among its own where there is none.

    uv runs what it finds, and passes over what does not work, such as a pyenv shim of a version
    that is not enabled. The order of the places is ours: its own settings of it do not count.
    """
    environ = {key: value for key, value in os.environ.items() if key not in _PREFERENCES}
    where = "--managed-python" if path is None else "--no-managed-python"
    if path is not None:
        environ["PATH"] = path
    arguments = ["python", "find", "--no-project", "--system", where, version]
    try:
        answer = uv.run(arguments, cancel, environ)
    except EngineError:
        return None
    return _probe(answer.strip(), version, source)


def _probe(path: str, version: str, source: str) -> Interpreter | None:
    """Asks an interpreter for its full version; None where it does not run or has another one."""
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    try:
        answer = subprocess.run(
            [path, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True
        ).stdout.strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(Path(path), answer, source) if answer.startswith(version + ".") else None
