import io
import struct
from pathlib import Path

from harness.engine.docker.logs import STDERR, STDOUT, demultiplex, replace
from harness.engine.log_file import LogFile


def frame(number: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(data)) + data


def test_demultiplex_separates_streams_and_ignores_others(tmp_path: Path) -> None:
    stream = io.BytesIO(
        frame(STDOUT, b"one ") + frame(STDERR, b"\xff\xfe") + frame(7, b"?") + frame(STDOUT, b"two")
    )
    with LogFile(tmp_path / "out") as out, LogFile(tmp_path / "err") as err:
        demultiplex(stream, {STDOUT: out, STDERR: err})
    assert (tmp_path / "out").read_bytes() == b"one two"
    assert (tmp_path / "err").read_bytes() == b"\xff\xfe"


def test_demultiplex_keeps_what_came_before_a_break(tmp_path: Path) -> None:
    with LogFile(tmp_path / "out") as out:
        demultiplex(io.BytesIO(frame(STDOUT, b"whole") + frame(STDOUT, b"cut")[:-2]), {STDOUT: out})
        demultiplex(io.BytesIO(b"\1\0\0"), {STDOUT: out})
    assert (tmp_path / "out").read_bytes() == b"wholec"


def test_replace_takes_the_longer_log(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.write(b"connection broke af")
    assert replace(log, [b"connection broke ", b"after this"]).total == 27
    assert (tmp_path / "log").read_bytes() == b"connection broke after this"


def test_replace_keeps_a_log_whose_beginning_the_daemon_rotated_away(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.write(b"beginning and end")
    assert replace(log, [b"end"]) is log
    assert (tmp_path / "log").read_bytes() == b"beginning and end"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_replace_leaves_an_equal_log_in_place_for_its_followers(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.write(b"same")
    inode = (tmp_path / "log").stat().st_ino
    replace(log, [b"sa", b"me"])
    assert (tmp_path / "log").stat().st_ino == inode
