"""What the driver imports is what pyproject.toml asks for; its test libraries fit each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_OURS = {"harness", "tests", "benchmarks", "scenarios"}


def imported(folder: str) -> set[str]:
    """Names of packages that modules of a folder import, less the standard library's and ours."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - _OURS - set(sys.stdlib_module_names) - {"tomllib"}


def declared(*extras: str) -> set[str]:
    """Distributions that pyproject.toml asks for."""
    lines = [*_PROJECT["dependencies"]]
    for extra in extras:
        lines += _PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_what_is_imported_is_declared() -> None:
    by_module = metadata.packages_distributions()
    missing = {
        module
        for module in imported("harness") - {"tomli"}  # only installed for Python 3.10
        if not declared() & {canonicalize_name(name) for name in by_module.get(module, [])}
    }
    assert missing == set()


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_what_tests_import_is_declared(folder: str) -> None:
    """An environment from an earlier lock still has what a fresh one does not get."""
    by_module = metadata.packages_distributions()
    asked_for = declared(*_PROJECT["optional-dependencies"])
    undeclared = {
        module
        for module in imported(folder) & by_module.keys()  # others are the flavors'
        if not asked_for & {canonicalize_name(name) for name in by_module[module]}
    }
    assert undeclared == set()


def test_what_is_declared_is_locked() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    locked = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    assert declared(*_PROJECT["optional-dependencies"]) - {"tomli"} <= locked


def test_tests_of_one_group_run_on_one_worker(tmp_path):
    # Where the two libraries do not fit each other, groups are ignored without a word.
    (tmp_path / "test_group.py").write_text(
        "import pytest, time\n"
        "@pytest.mark.xdist_group('one')\n"
        "@pytest.mark.parametrize('number', range(8))\n"
        "def test_it(number, worker_id):\n"
        "    open(f'{worker_id}-{number}', 'w').close()\n"
        "    time.sleep(0.1)\n"
    )
    command = [sys.executable, "-m", "pytest", "-n2", "--dist=loadgroup", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [path.name.split("-")[0] for path in tmp_path.glob("gw*-*")]
    assert len(ran) == 8
    assert len(set(ran)) == 1
