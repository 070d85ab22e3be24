"""A log file has the beginning and the end of what was written to it."""

from pathlib import Path

import pytest

from harness.engine.log_file import LogFile


@pytest.mark.parametrize("size", [0, 1, 49, 50, 51, 99, 100])
def test_keeps_everything_up_to_the_limit(tmp_path: Path, size: int) -> None:
    data = bytes(range(256))[:size]
    with LogFile(tmp_path / "log", limit=100) as log:
        for byte in data:
            log.write(bytes([byte]))
    assert (tmp_path / "log").read_bytes() == data
    assert (log.total, log.dropped) == (size, 0)


@pytest.mark.parametrize("chunk", [1, 7, 50, 51, 1000])
def test_keeps_head_and_tail_beyond_the_limit(tmp_path: Path, chunk: int) -> None:
    data = bytes(index % 251 for index in range(1000))
    with LogFile(tmp_path / "log", limit=100) as log:
        for begin in range(0, len(data), chunk):
            log.write(data[begin : begin + chunk])
    note = b"\n[lms-harness] 900 bytes of this log are left out here\n"
    assert (tmp_path / "log").read_bytes() == data[:50] + note + data[-50:]
    assert (log.total, log.dropped) == (1000, 900)


def test_head_is_on_disk_while_the_log_is_written(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.write(b"first\n")
    assert (tmp_path / "log").read_bytes() == b"first\n"
    log.close()
    log.close()
