"""Code under scenarios/ runs on old interpreters and knows nothing of the harness."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.phases import SCENARIOS, interpreter

FILES = sorted(path.relative_to(SCENARIOS).as_posix() for path in SCENARIOS.rglob("*.py"))
# Others are pasted into issues, and run by nobody here.
OF_PHASES = [name for name in FILES if not name.startswith("defects/")]
# Added to the standard library after Python 3.6.
LATER = {"dataclasses", "contextvars", "graphlib", "importlib.metadata", "importlib.resources"}


def parsed(name: str) -> ast.Module:
    return ast.parse(Path(SCENARIOS, name).read_text("utf-8"), name, feature_version=(3, 6))


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("name", FILES)
def test_file_is_python_3_6(name: str) -> None:
    tree = parsed(name)
    assert "annotations" not in {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    }


# Compiles what is named and imports each module of ours; scripts are only compiled.
IMPORTED = """
import importlib, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    with open(sys.argv[1] + "/" + name) as file:
        text = file.read()
    compile(text, name, "exec")
    if "__main__" not in text:
        importlib.import_module(name[: -len(".py")].replace("/", ".").replace(".__init__", ""))
"""


def oldest() -> list[str]:
    """Old interpreters: that of the TensorFlow 1 flavors, and a Python 3.6 that pyenv has."""
    versions = sorted(Path.home().glob(".pyenv/versions/3.6.*/bin/python3.6"))
    return [interpreter("tf1-tfkeras"), *map(str, versions[-1:])]


@pytest.mark.tensorflow
def test_files_are_read_by_an_old_interpreter_that_has_no_framework() -> None:
    # ast.parse lets some syntax of later versions pass.
    for python in oldest():
        command = [python, "-S", "-c", IMPORTED, str(SCENARIOS), *OF_PHASES]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", FILES)
def test_file_imports_nothing_of_the_harness_or_too_recent(name: str) -> None:
    names = imported(parsed(name))
    assert not {module for module in names if module.split(".")[0] == "harness"}
    assert not names & LATER


@pytest.mark.parametrize("name", FILES)
def test_file_names_no_path_of_a_machine(name: str) -> None:
    text = Path(SCENARIOS, name).read_text("utf-8")
    assert not [part for part in ("/home/", "/root/", "/tmp/", "/work/") if part in text]
