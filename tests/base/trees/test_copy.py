from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.base.trees.copy import copy, whole
from harness.base.trees.walk import TreeError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "below").mkdir(parents=True)
    (root / "log").write_text("a line")
    (root / "below" / "data").write_bytes(b"\0" * 10)
    return root


def files(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


def test_a_hard_link_stays_when_the_source_goes(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    copy(tree, target, link=True)
    assert (target / "log").stat().st_ino == (tree / "log").stat().st_ino
    (tree / "log").unlink()
    assert (target / "log").read_text() == "a line"
    assert files(target) == ["below", "below/data", "log"]


@pytest.mark.parametrize("refusal", [errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links_it_is_a_copy(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def link(*arguments: object, **named: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "link", link)
    copy(tree, tmp_path / "target", link=True)
    assert (tmp_path / "target" / "log").stat().st_ino != (tree / "log").stat().st_ino
    assert (tmp_path / "target" / "log").read_text() == "a line"


def test_what_is_to_be_left_out_is(tree: Path, tmp_path: Path) -> None:
    copy(tree, tmp_path / "target", skip={"below"})
    assert files(tmp_path / "target") == ["log"]


@pytest.mark.timeout(20)
def test_links_and_pipes_are_neither_followed_nor_waited_for(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tree / "link").symlink_to(outside / "secret")
    (tree / "below" / "place").symlink_to(outside)
    os.mkfifo(tree / "pipe")
    copy(tree, tmp_path / "target", link=True)
    assert files(tmp_path / "target") == ["below", "below/data", "log"]
    with pytest.raises(OSError, match="place"):
        copy(tree / "below" / "place", tmp_path / "other")


def test_a_directory_is_whole_with_plain_files_alone(tree: Path, tmp_path: Path) -> None:
    assert whole(tree, "log", "below/data")
    assert not whole(tree, "log", "other")
    (tree / "other").symlink_to(tree / "log")
    assert not whole(tree, "other")
    (tmp_path / "place").symlink_to(tree)
    assert not whole(tmp_path / "place", "log")


def test_a_tree_that_is_too_deep_or_too_large_is_refused(tree: Path, tmp_path: Path) -> None:
    with (tree / "large").open("wb") as file:
        file.truncate(2**36)
    with pytest.raises(TreeError, match="larger than 32 GiB"):
        copy(tree, tmp_path / "target", link=True)
    (tree / "large").unlink()
    (tree / "/".join("d" * 102)).mkdir(parents=True)
    assert not whole(tree, "log")
