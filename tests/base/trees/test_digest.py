from __future__ import annotations

import os
from pathlib import Path

from harness.base.trees import digest


def fill(root: Path, **names: str) -> Path:
    root.mkdir(parents=True)
    for name, text in names.items():
        (root / f"{name}.py").write_text(text)
    return root


def test_equal_names_and_contents_are_one_digest(tmp_path: Path) -> None:
    one = digest.of_tree(fill(tmp_path / "one", a="1", b="2"))
    assert one == digest.of_tree(fill(tmp_path / "two", b="2", a="1"))
    assert one != digest.of_tree(fill(tmp_path / "three", a="2", b="1"))
    assert one != digest.of_tree(fill(tmp_path / "four", a="1", c="2"))
    assert digest.of_tree(tmp_path / "none") == ""


def test_what_python_makes_and_what_is_not_wanted_does_not_count(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", a="1")
    before = digest.of_tree(root, lambda path: not path.endswith(".toml"))
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "a.pyc").write_bytes(b"1")
    (root / "table.toml").write_text("a = 1")
    os.mkfifo(root / "pipe")
    assert digest.of_tree(root, lambda path: not path.endswith(".toml")) == before
    assert digest.of_tree(root) != before


def test_a_file_behind_a_link_counts_with_its_content(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", a="1")
    (root / "b.py").symlink_to(root / "a.py")
    assert digest.of_tree(root) == digest.of_tree(fill(tmp_path / "other", a="1", b="1"))


def test_of_a_large_file_size_beginning_and_end_count(tmp_path: Path) -> None:
    path = tmp_path / "large"
    found = []
    for size, at in ((2**29, 0), (2**29 + 1, 0), (2**29, 5), (2**29, 2**29 - 5), (2**29, 2**28)):
        with path.open("wb") as file:
            file.truncate(size)
            file.seek(at)
            file.write(b"\1" if (size, at) != (2**29, 0) else b"\0")
        found.append(digest.of_file(path))
    assert len(set(found[:4])) == 4
    assert found[4] == found[0]  # in the middle: not seen, as documented
