from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
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


GIB = 2**30


def sparse(path: Path, size: int, **data: bytes) -> None:
    """A file with holes; `at_5=b"x"` is data at 5."""
    with path.open("wb") as file:
        file.truncate(size)
        for name, content in data.items():
            file.seek(int(name.removeprefix("at_")))
            file.write(content)


@pytest.mark.parametrize("by", ["read only", "take over"])
def test_holes_stay_holes_and_data_stays_where_it_is(tmp_path, by):
    source = tmp_path / "phase" / "artifacts"
    source.mkdir(parents=True)
    middle, end = 10 * GIB + 4095, 20 * GIB - 3
    sparse(
        source / "mostly", 20 * GIB, at_0=b"begin", **{f"at_{middle}": b"x", f"at_{end}": b"end"}
    )
    sparse(source / "nothing", 5 * GIB)
    sparse(source / "tail", GIB, at_0=b"begin")
    (source / "empty").touch()
    (source / "plain").write_bytes(bytes(range(256)) * 12345)
    os.utime(source / "plain", ns=(1, 2_000_000_001))
    target = tmp_path / "target"
    if by == "read only":
        artifacts.copy_read_only(source, target)
    else:
        artifacts.take_over(source, target, "key")
    for path in source.iterdir():
        copied = target / path.name
        assert copied.stat().st_size == path.stat().st_size
        assert copied.stat().st_blocks <= path.stat().st_blocks + 64
        assert copied.stat().st_mtime_ns == path.stat().st_mtime_ns
    with (target / "mostly").open("rb") as file:
        found = []
        for offset, length in ((0, 6), (middle - 1, 3), (end - 1, 5)):
            file.seek(offset)
            found.append(file.read(length))
    assert found == [b"begin\0", b"\0x\0", b"\0end"]
    assert (target / "plain").read_bytes() == (source / "plain").read_bytes()


@pytest.mark.parametrize("place", ["artifacts", "parent"])
@pytest.mark.parametrize("kind", ["link", "dangling", "file", "fifo"])
def test_what_is_in_the_place_of_the_artifacts_is_not_followed(tmp_path, kind, place):
    outside = tmp_path / "outside"
    (outside / "artifacts").mkdir(parents=True)
    for secret in (outside / "secret", outside / "artifacts" / "secret"):
        secret.write_text("x")
    parent = tmp_path / "phase"
    source = parent / "artifacts"
    if place == "artifacts":
        parent.mkdir()
    replaced = source if place == "artifacts" else parent
    if kind in ("link", "dangling"):
        replaced.symlink_to(outside if kind == "link" else tmp_path / "nowhere")
    elif kind == "file":
        replaced.touch()
    else:
        os.mkfifo(replaced)
    for copy in (
        lambda: artifacts.copy_read_only(source, tmp_path / "target"),
        lambda: artifacts.take_over(source, tmp_path / "target", "phase"),
    ):
        with pytest.raises(EngineError) as caught:
            copy()
        assert str(caught.value) == "could not copy artifacts of phase: it left no directory"
        assert not (tmp_path / "target").exists()


def test_what_runs_as_its_owner_is_copied_as_any_other_file(tmp_path):
    source = tmp_path / "phase" / "artifacts"
    source.mkdir(parents=True)
    for name, mode in (("setuid", 0o6755), ("sticky", 0o1644)):
        (source / name).write_text("x")
        (source / name).chmod(mode)
    (source / "below").mkdir()
    (source / "below").chmod(0o7755)
    artifacts.take_over(source, tmp_path / "target", "key")
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "target").iterdir()}
    assert {name: mode & 0o7000 for name, mode in modes.items()} == dict.fromkeys(modes, 0)
    assert modes["setuid"] & 0o100, "a program stays one"


def test_a_full_disk_is_one_line_with_the_file(tmp_path):
    source = tmp_path / "phase" / "artifacts"
    source.mkdir(parents=True)
    (source / "large").write_bytes(bytes(4 * 2**20 + 1))
    with small_disk(tmp_path, 2**20) as disk:
        with pytest.raises(EngineError) as caught:
            artifacts.copy_read_only(source, disk / "target")
        assert list(disk.iterdir()) == []
    assert str(caught.value) == (
        "could not copy artifacts of phase: large: No space left on device"
    )


@contextlib.contextmanager
def small_disk(tmp_path: Path, size: int) -> Iterator[Path]:
    """A file system of a few bytes; skips where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- what a phase has left ------------------------------------------------------------------------


def left(directory: Path) -> Path:
    """What a hostile phase leaves: links, special files, programs that run as their owner."""
    output = directory / "artifacts"
    (output / "deep" / "deeper").mkdir(parents=True)
    for place in (output, output / "deep" / "deeper"):
        (place / "kept").write_text("x")
        (place / "file").symlink_to("/etc/passwd")
        (place / "directory").symlink_to("/etc")
        (place / "dangling").symlink_to("nowhere")
        os.mkfifo(place / "fifo")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(place / "socket"))
        for name, mode in (("suid", 0o4755), ("sgid", 0o2111), ("both", 0o7700)):
            (place / name).touch()
            (place / name).chmod(mode)
    (output / "deep").chmod(0o3555)
    return output


def settled(directory: Path) -> tuple[str, dict[str, int]]:
    os.chdir(directory)  # a socket's path is short
    output = left(directory)
    said = artifacts.settle(output)
    return said, {str(path.relative_to(output)): path.lstat().st_mode for path in output.rglob("*")}


@pytest.mark.parametrize("uid", [0, users.OTHER])
def test_what_a_phase_leaves_is_made_fit_for_reports(uid):
    with users.directory() as shared:
        said, modes = users.call(uid, settled, shared)
    assert said == ""
    names = {"kept", "suid", "sgid", "both"}
    below = {f"deep/deeper/{name}" for name in names}
    assert set(modes) == names | {"deep", "deep/deeper"} | below
    assert all(stat.S_ISREG(mode) or stat.S_ISDIR(mode) for mode in modes.values())
    assert [name for name, mode in modes.items() if mode & 0o7000] == []
    assert modes["suid"] & 0o777 == 0o755


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "gone", "fifo"])
def test_no_directory_becomes_an_empty_one_and_is_told(tmp_path, kind):
    outside, output = tmp_path / "outside", tmp_path / "artifacts"
    outside.mkdir()
    (outside / "kept").write_text("x")
    if kind in ("link", "dangling"):
        output.symlink_to(outside if kind == "link" else "nowhere")
    elif kind == "fifo":
        os.mkfifo(output)
    elif kind == "file":
        output.touch()
    assert artifacts.settle(output) == "it left no directory in the place of its OUTPUT_DIR"
    assert output.is_dir()
    assert not output.is_symlink()
    assert list(output.iterdir()) == []
    assert (outside / "kept").exists()


def test_directories_without_end_are_removed_and_told(tmp_path):
    output = tmp_path / "artifacts"
    output.mkdir()
    (output / "file").touch()
    here = os.open(output, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert artifacts.settle(output) == "its artifacts are nested deeper than 100 directories"
    assert list(output.iterdir()) == []


def test_of_a_link_the_link_is_removed(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    artifacts.remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
