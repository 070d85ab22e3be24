"""Code under scenarios/ runs on old interpreters and knows nothing of the harness."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.scenarios.phases import SCENARIOS

FILES = sorted(path.relative_to(SCENARIOS).as_posix() for path in SCENARIOS.rglob("*.py"))
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


@pytest.mark.parametrize("name", FILES)
def test_file_imports_nothing_of_the_harness_or_too_recent(name: str) -> None:
    names = imported(parsed(name))
    assert not {module for module in names if module.split(".")[0] == "harness"}
    assert not names & LATER


@pytest.mark.parametrize("name", FILES)
def test_file_names_no_path_of_a_machine(name: str) -> None:
    text = Path(SCENARIOS, name).read_text("utf-8")
    assert not [part for part in ("/home/", "/root/", "/tmp/", "/work/") if part in text]
