from __future__ import annotations

from pathlib import Path

import pytest

from harness.resumption import digests
from tests.projects import lay_out


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "checkout")


def of(root: Path, **changes: object) -> dict[str, str]:
    given = {"data": root / "data", "lms_path": None, "providers": {}, **changes}
    return digests.of(root, **given)  # type: ignore[arg-type]


def changed(one: dict[str, str], other: dict[str, str]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("scenarios/families/basic/save.py", {"scenarios", "scripts"}),
        ("scenarios/families/basic/scenarios.toml", {"scenarios"}),
        ("docker/flavors/test-flavor/requirements-cpu.txt", {"flavors"}),
        ("docker/bases.lock.toml", set()),
        ("data/mnist.npz", {"data"}),
        ("README.md", set()),
    ],
)
def test_a_file_changes_the_digests_of_what_reads_it(
    root: Path, path: str, names: set[str]
) -> None:
    before = of(root)
    (root / path).parent.mkdir(exist_ok=True)
    with (root / path).open("a") as file:
        file.write("# more")
    assert changed(before, of(root)) == names


def test_providers_of_files_and_a_foreign_package_are_in_them(root: Path, tmp_path: Path) -> None:
    before = of(root)
    file = tmp_path / "mine.py"
    file.write_text("a")
    mine = of(root, providers={"mine": file})
    assert changed(before, mine) == {"providers"}
    file.write_text("b")
    assert changed(mine, of(root, providers={"mine": file})) == {"providers"}
    assert changed(before, of(root, lms_path=tmp_path)) == {"providers"}
