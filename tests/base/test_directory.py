"""Whether a directory can be written to, as far as trying tells."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base import directory
from harness.base.error import UsageError
from tests.small_disks import mounted


@pytest.fixture
def file_system(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; skips for a user who may not mount one."""
    with mounted(tmp_path / "mounted", "64k") as place:
        yield place


def test_a_directory_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    place = tmp_path / "one" / "two"
    for _ in range(2):
        directory.require_writable(place)
        assert list(place.iterdir()) == []


def test_a_file_in_its_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^cannot write to .*file: File exists; another$"):
        directory.require_writable(tmp_path / "file", "another")
    with pytest.raises(UsageError, match=r"^cannot write to .*below: Not a directory$"):
        directory.require_writable(tmp_path / "file" / "below")


def test_a_read_only_file_system_is_one_line(file_system: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(file_system)], check=True)
    for place in (file_system, file_system / "below"):
        with pytest.raises(UsageError, match="Read-only file system"):
            directory.require_writable(place)


def test_a_full_disk_is_no_mistake_of_the_user_s(file_system: Path) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=2", str(file_system)], check=True)
    (file_system / "last").touch()
    with pytest.raises(OSError, match="No space left"):
        directory.require_writable(file_system / "below")
