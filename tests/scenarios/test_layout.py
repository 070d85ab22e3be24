"""The packages below scenarios/: what each may import, and how large they are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.scenarios.phases import SCENARIOS

# In the order in which they build on each other: each imports only what comes before it.
LAYERS = ("forks", "frameworks", "common", "meters", "providers", "workload", "families")
# What is before a package in that order and yet none of its business.
APART = {("providers", "meters")}

MODULES = sorted(path for name in LAYERS for path in (SCENARIOS / name).rglob("*.py"))
PACKAGES = sorted({path.parent for path in MODULES} - set((SCENARIOS / "families").iterdir()))


def name_of(path: Path) -> str:
    return path.relative_to(SCENARIOS).as_posix()


def imported(path: Path) -> set[str]:
    """The packages of ours that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else node.module or "")
    assert "." not in names, "a relative import"
    return {name.split(".")[0] for name in names} & set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_imports_only_what_its_package_builds_on(path: Path) -> None:
    own = name_of(path).split("/")[0]
    allowed = set(LAYERS[: LAYERS.index(own) + 1])
    allowed -= {other for package, other in APART if package == own}
    assert imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_package_is_small_and_says_what_it_may_import(package: Path) -> None:
    assert len(list(package.glob("*.py"))) <= 12
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8")))
    assert text is not None
    assert "It may import:" in text
