"""The versions of a package: what the package index offers to a Python, between two of them.

pip is asked, because it goes where this machine is set up to go, to directories of packages too,
and knows what counts: nothing that was withdrawn (PEP 592), no pre-release, nothing that is for
another Python or has no file that fits it. uv cannot list versions.
"""

from __future__ import annotations

import bisect
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.base.error import UsageError
from harness.base.text import one_line
from harness.engine import indexes

_TIMEOUT_S = 300.0
_BUILDS = ("", "-cpu", "-gpu")  # TensorFlow's packages of the same files
_NEAR = 3  # versions on each side


def locked_name(package: str, names: Iterable[str]) -> str:
    """The name that a package has in a lock file: `tensorflow` may be `tensorflow-cpu` there.

    Raises:
        UsageError: it is not there.
    """
    known = set(names)
    for build in _BUILDS:
        name = canonicalize_name(package) + build
        if name in known:
            return name
    there = ", ".join(sorted(known))
    raise UsageError(
        f"--package {one_line(package, 80)}: is none of the flavor's packages: {there}"
    )


def offered(package: str, python: str, more: Sequence[str] = ()) -> list[str]:
    """The versions that this machine's indexes offer to a Python, in no certain order.

    Args:
        python: e.g. "3.7".
        more: indexes that are asked too.

    Raises:
        UsageError: there are none, or no index answers.
    """
    command = [
        *(sys.executable, "-m", "pip", "index", "versions", package, "--json", "--no-input"),
        *("--python-version", python, "--retries", "1", "--disable-pip-version-check"),
        *(f"--extra-index-url={index}" for index in more),
    ]
    environ = dict(os.environ)
    index = indexes.pip_settings(environ).get("index-url")
    if index:
        environ["PIP_INDEX_URL"] = index  # of a machine that is only set up for uv
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
        return [str(version) for version in json.loads(done.stdout)["versions"]]
    except (OSError, subprocess.SubprocessError) as problem:
        reason = str(problem)
    except (ValueError, KeyError, TypeError):
        reason = (done.stderr.strip() or "pip said nothing").splitlines()[-1]
    raise UsageError(
        f"the package index does not tell the versions of {package} for Python {python}"
        f" ({indexes.without_password(one_line(reason, 300))}); --versions names them"
    )


def between(
    package: str, good: str, bad: str, versions: Iterable[str], local: str | None, fixed: bool
) -> tuple[str, ...]:
    """The versions from one end to the other, the oldest first, as they are spelled.

    Args:
        good, bad: the ends; a local part may be left out.
        versions: those to choose from.
        local: the local part that each of them has to have, e.g. "cpu"; None for none.
        fixed: the bad end is the older one.

    Raises:
        UsageError: an end is no version or is not there, or the ends are the wrong way round.
    """
    parsed = {_version(text): text for text in versions}
    known = {version: text for version, text in parsed.items() if version.local == local}
    older, newer = (bad, good) if fixed else (good, bad)
    ends = [_end(package, text, local, known) for text in (older, newer)]
    if not ends[0] < ends[1]:
        where = "later one with --fixed" if fixed else "earlier one; --fixed searches for a repair"
        raise UsageError(f"--good {good} --bad {bad}: the good version has to be the {where}")
    return tuple(known[version] for version in sorted(known) if ends[0] <= version <= ends[1])


def local_part(version: str) -> str | None:
    """The local part of a version, such as "cpu" of "2.13.0+cpu", or None."""
    return _version(version).local


def _end(package: str, text: str, local: str | None, known: dict[Version, str]) -> Version:
    wanted = _version(text)
    if wanted.local is None and local is not None:
        wanted = _version(f"{text}+{local}")
    if wanted in known:
        return wanted
    there = sorted(known)
    place = bisect.bisect(there, wanted)
    near = there[max(0, place - _NEAR) : place + _NEAR]
    names = ", ".join(str(version) for version in near) or "none"
    raise UsageError(f"{package} {one_line(text, 80)} is not among the versions; near it: {names}")


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{one_line(text, 80)!r} is no version of a package") from None
