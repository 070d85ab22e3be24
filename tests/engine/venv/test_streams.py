"""Pipes that lead to log files, and what becomes of them when nobody writes, or nothing fits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine.venv import streams as module
from harness.engine.venv.streams import Streams
from tests.small_disks import mounted


def made(tmp_path: Path, logs: Path | None = None) -> Streams:
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return Streams(tmp_path / "scratch", [(logs or tmp_path) / "out.log"])


def test_what_is_written_is_in_the_log_and_no_pipe_is_left(tmp_path: Path) -> None:
    with made(tmp_path) as streams:
        with streams.pipes[0].open("wb") as pipe:
            streams.follow()
            assert list((tmp_path / "scratch").iterdir()) == []
            pipe.write(b"x" * 10**6)
        streams.close()
        assert streams.facts == {"out.log": {"bytes": 10**6, "left out": 0}}
    assert (tmp_path / "out.log").read_bytes() == b"x" * 10**6


def test_a_phase_that_never_started_leaves_nothing(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    made(tmp_path).close()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (tmp_path / "out.log").read_bytes() == b""
    with pytest.raises(FileNotFoundError):
        made(tmp_path, tmp_path / "none")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_who_keeps_a_pipe_open_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DRAIN_S", 0.2)
    with made(tmp_path) as streams, streams.pipes[0].open("wb", buffering=0) as pipe:
        streams.follow()
        pipe.write(b"first")
        streams.close()
    assert (tmp_path / "out.log").read_bytes() == b"first"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; skips for a user who may not mount one."""
    with mounted(tmp_path / "small", "64k") as place:
        yield place


def test_who_writes_to_a_full_disk_is_not_held_up(tmp_path: Path, full: Path) -> None:
    with made(tmp_path, full) as streams:
        pipe = streams.pipes[0].open("wb", buffering=0)
        streams.follow()

        def write() -> None:
            with pipe:
                for _ in range(100):
                    pipe.write(b"x" * 10**5)

        writer = threading.Thread(target=write)
        writer.start()
        writer.join(30)
        assert not writer.is_alive()
        streams.close()
        assert streams.problem is not None
        assert streams.problem.strerror == "No space left on device"
