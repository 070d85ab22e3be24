from __future__ import annotations

import os

import pytest

from harness.base.error import EngineError
from harness.run import artifacts


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
