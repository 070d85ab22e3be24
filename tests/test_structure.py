"""The structure of the code, read from the imports themselves: floors, arrows, sizes.

Imports that are only for type checkers count too: they are arrows of the structure like any other.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.paths import ROOT

MODULE_LINES = 400
PACKAGE_MODULES = 12
FLOORS = 7

Arrows = dict[str, set[str]]


def modules(folder: str) -> dict[str, Path]:
    """Dotted names of the modules below a folder, without packages and starters."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    }


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_arrows(folder: str) -> Arrows:
    """Module → modules of the same folder that it imports."""
    found = modules(folder)
    arrows: Arrows = {name: set() for name in found}
    for name, path in found.items():
        for imported in imports(path):
            target = imported if imported in found else imported.rpartition(".")[0]
            if target in found and target != name:
                arrows[name].add(target)
    return arrows


def package_of(module: str) -> str:
    """`harness.engine.docker` of `harness.engine.docker.image`: the room that a module is in."""
    return module.rpartition(".")[0]


def floor_of(module: str) -> str:
    """`harness.engine` of `harness.engine.docker.image`: what is counted as a floor's room."""
    return ".".join(module.split(".")[:2])


def package_arrows(folder: str, room: Callable[[str], str] = package_of) -> Arrows:
    """Package → other packages whose modules its modules import."""
    arrows: Arrows = {}
    for module, targets in module_arrows(folder).items():
        own = room(module)
        arrows.setdefault(own, set()).update({room(target) for target in targets} - {own})
    return arrows


def floors(arrows: Arrows) -> list[list[str]]:
    """The packages by floor, the lowest first; each imports from floors below its own only.

    Raises:
        graphlib.CycleError: packages import each other in a circle.
    """
    sorter = TopologicalSorter(arrows)
    sorter.prepare()
    found = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found.append(ready)
        sorter.done(*ready)
    return found


def picture(folder: str) -> str:
    """The floors as text, the highest first: each package, and what it imports.

    A package within a package stands below it, and is on its floor.
    """
    arrows = package_arrows(folder)
    width = max(len(name) for name in arrows) - len(folder)
    lines = []
    levels = floors(package_arrows(folder, floor_of))
    for level in range(len(levels) - 1, -1, -1):
        for name in sorted(entry for entry in arrows if floor_of(f"{entry}.x") in levels[level]):
            below = ", ".join(sorted(_short(entry, folder) for entry in arrows[name])) or "nothing"
            lines.append(f"{level}  {_short(name, folder):<{width}} imports {below}")
    return "\n".join(lines)


def _short(name: str, folder: str) -> str:
    return name.removeprefix(folder).lstrip(".") or folder


@pytest.mark.parametrize("folder", ["harness"])
def test_the_picture_in_the_architecture_page_is_the_codes(folder: str) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"```\n{picture(folder)}\n```" in page, f"it should hold:\n{picture(folder)}"


@pytest.mark.parametrize("folder", ["harness"])
def test_no_circle_and_few_floors(folder: str) -> None:
    assert len(floors(package_arrows(folder, floor_of))) <= FLOORS
    floors(package_arrows(folder))  # nor a circle of packages within a floor
    floors(module_arrows(folder))  # nor of modules within a package


@pytest.mark.parametrize("folder", ["harness", "scenarios", "tests", "benchmarks"])
def test_rooms_are_small(folder: str) -> None:
    found = modules(folder)
    long = {
        name: lines
        for name, path in found.items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES
    }
    if folder in ("harness", "scenarios"):
        assert not long
        packages = (path.parent for path in found.values())
        rooms = Counter(package for package in packages if (package / "__init__.py").exists())
        assert {name: count for name, count in rooms.items() if count > PACKAGE_MODULES} == {}


@pytest.mark.parametrize("folder", ["harness"])
def test_each_package_says_what_it_is(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("__init__.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert 1 <= len(text.splitlines()) <= 4, path
