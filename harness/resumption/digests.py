"""Digests of all files that results follow from, beside the plan."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from pathlib import Path

import harness
from harness.base.trees import digest

# Changed by a checkout for itself, and no part of what is tested.
_LOCAL = ("bases.lock.toml",)


def of(
    root: Path, data: Path, lms_path: Path | None, providers: Mapping[str, Path]
) -> dict[str, str]:
    """By name, digests of what a run of a checkout follows from.

    Args:
        root: the checkout.
        data: data sets.
        lms_path: parent directory of a foreign LMS package, or None.
        providers: files of providers that are none of the checkout's, by the provider's name.

    Raises:
        OSError: a file cannot be read.
    """
    scenarios = root / "scenarios"
    foreign = {name: digest.of_file(path) for name, path in providers.items()}
    if lms_path is not None:
        foreign["LMS_PATH"] = digest.of_tree(lms_path, lambda path: path.endswith((".py", ".so")))
    return {
        "scenarios": digest.of_tree(scenarios),
        # Tables say what is planned, and the plan is digested itself.
        "scripts": digest.of_tree(scenarios, lambda path: not fnmatch.fnmatch(path, "*.toml")),
        "data": digest.of_tree(data),
        "providers": hashlib.sha256(repr(sorted(foreign.items())).encode()).hexdigest()
        if foreign
        else "",
        "flavors": digest.of_tree(root / "docker", lambda path: path not in _LOCAL),
        "harness": digest.of_tree(Path(harness.__file__).parent, lambda path: path.endswith(".py")),
    }
