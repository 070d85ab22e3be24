from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.base.error import EngineError
from harness.run import artifacts
from tests import users


def test_copy_is_read_only_and_removable(tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "model.h5").write_bytes(b"weights")
    target = tmp_path / "target"
    artifacts.copy_read_only(source, target)
    copied = target / "deep" / "model.h5"
    assert copied.read_bytes() == b"weights"
    assert copied.stat().st_mode & 0o222 == 0
    assert target.stat().st_mode & 0o222 == 0
    artifacts.remove(target)
    assert not target.exists()


def test_links_and_special_files_are_left_out(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "fifo")
    (source / "plain").write_text("x")
    artifacts.copy_read_only(source, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["plain"]


def test_source_that_is_gone(tmp_path):
    with pytest.raises(EngineError, match="could not copy artifacts"):
        artifacts.copy_read_only(tmp_path / "gone" / "artifacts", tmp_path / "target")


def test_remove_does_not_follow_links(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    (tmp_path / "link").symlink_to(outside)
    artifacts.remove(tmp_path / "link")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    artifacts.remove(inside)
    assert (outside / "kept").exists()
    assert not inside.exists()


def closed(directory: Path) -> Path:
    """Artifacts with a directory that nobody may enter."""
    source = directory / "phase" / "artifacts"
    (source / "deep" / "deeper").mkdir(parents=True)
    (source / "deep" / "deeper" / "file").write_text("x")
    (source / "deep" / "deeper").chmod(0)
    return source


def copy_of_closed(directory: Path, mode: int) -> tuple[str, list[str]]:
    source = closed(directory)
    (source / "deep").chmod(mode)
    try:
        artifacts.copy_read_only(source, directory / "target")
    except EngineError as problem:
        return str(problem), sorted(path.name for path in directory.iterdir())
    return "", []


@pytest.mark.parametrize(
    ("mode", "name"), [(0o755, "deep/deeper"), (0, "deep"), (0o644, "deep/deeper")]
)
def test_artifacts_that_cannot_be_read_are_one_line(mode, name):
    with users.directory() as shared:
        said, left = users.call(users.OTHER, copy_of_closed, shared, mode)
    assert said == f"could not copy artifacts of phase: {name}: Permission denied"
    assert left == ["phase"]


def copy_of_a_closed_file(directory: Path) -> tuple[str, list[str]]:
    source = directory / "phase" / "artifacts"
    source.mkdir(parents=True)
    (source / "weights").touch(0)
    try:
        artifacts.copy_read_only(source, directory / "target")
    except EngineError as problem:
        return str(problem), sorted(path.name for path in directory.iterdir())
    return "", []


def test_a_file_that_cannot_be_read_is_one_line():
    with users.directory() as shared:
        said, left = users.call(users.OTHER, copy_of_a_closed_file, shared)
    assert said == "could not copy artifacts of phase: weights: Permission denied"
    assert left == ["phase"]


def remove_closed(directory: Path) -> list[str]:
    source = closed(directory)
    (source / "deep").chmod(0)
    source.chmod(0)
    artifacts.remove(source)
    return [path.name for path in (directory / "phase").iterdir()]


def test_what_its_owner_may_not_enter_is_removed():
    with users.directory() as shared:
        assert users.call(users.OTHER, remove_closed, shared) == []


def test_directories_without_end(tmp_path):
    """Deeper than Python recurses, and than a path may be long."""
    source = tmp_path / "phase" / "artifacts"
    source.mkdir(parents=True)
    here = os.open(source, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(EngineError, match="nested deeper than 100 directories"):
        artifacts.copy_read_only(source, tmp_path / "target")
    artifacts.remove(source)
    assert list((tmp_path / "phase").iterdir()) == []
    assert not (tmp_path / "target").exists()
