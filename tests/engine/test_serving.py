"""Serving phases: the marker in a growing log, and ends that real engines seldom see."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import serving
from harness.engine.handle import Handle, Limits
from harness.engine.protocol import Exit
from harness.engine.serving import ReadyLog
from harness.record.models import Outcome

READY = b':::LMS {"event": "ready", "port": 5000}\n'


def look(log: ReadyLog) -> int | None:
    """Looks until all that is there was read, or the port is found."""
    while (port := log.port()) is None and log.behind:
        pass
    return port


@pytest.mark.parametrize(
    "log",
    [
        READY,
        b"loading\n\xff\xfe\n" + READY,
        b"progress 3/4 " + READY,
        b':::LMS {"event": "note", "text": "ready"}:::LMS {"event": "ready", "port": 5000}\n',
        b":::LMS not json\n:::LMS []\n" + READY,
        b"x" * 3_000_000 + b"\n" + READY,
        b'{"event": "ready", "port": 1}\n' + READY,
    ],
)
def test_finds_the_port_in_whatever_a_log_says(tmp_path: Path, log: bytes) -> None:
    (tmp_path / "log").write_bytes(log)
    assert look(ReadyLog(tmp_path / "log")) == 5000


def test_a_marker_is_read_when_its_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ReadyLog(path)
    assert log.port() is None  # there is no file yet
    with path.open("wb", buffering=0) as file:
        for byte in READY[:-1]:
            file.write(bytes([byte]))
            assert log.port() is None
        file.write(b"\n")
        assert log.port() == 5000


@pytest.mark.parametrize("port", ["null", "0", "65536", "true", '"5000"', "5000.0", "-1"])
def test_ready_without_a_port_is_refused(tmp_path: Path, port: str) -> None:
    (tmp_path / "log").write_text(f':::LMS {{"event": "ready", "port": {port}}}\n')
    with pytest.raises(ValueError, match="without a port"):
        ReadyLog(tmp_path / "log").port()


class Script:
    """A part that ends as it is told to.

    Attributes:
        stopped: how often it was stopped.
    """

    def __init__(self, end: Exit, by_itself: bool, obeys: bool = True) -> None:
        self.stopped = 0
        self._end, self._by_itself, self._obeys = end, by_itself, obeys

    def ended(self, seconds: float) -> bool:
        return self._by_itself

    def stop(self) -> bool:
        self.stopped += 1
        self._by_itself = True
        return self._obeys

    def finish(self) -> Exit:
        assert self._by_itself
        return self._end


GOOD = Exit(Outcome.COMPLETED, 0, "", {"pid": 1})
BAD = Exit(Outcome.FAILED, 1, "exit code 1", {"pid": 2})
OOM = Exit(Outcome.OUT_OF_MEMORY, 137, "the kernel killed it")


def run(tmp_path: Path, server: Script, client: Script) -> Exit:
    (tmp_path / "log").write_bytes(READY)

    @contextlib.contextmanager
    def start_client(port: int) -> Iterator[Handle]:
        assert port == 5000
        yield client

    limits = Limits(20.0, threading.Event())
    return serving.run(server, tmp_path / "log", start_client, limits)


def test_details_tell_of_both(tmp_path: Path) -> None:
    server, client = Script(GOOD, False), Script(GOOD, True)
    ended = run(tmp_path, server, client)
    assert ended == Exit(Outcome.COMPLETED, 0, "", {"pid": 1, "client": {"pid": 1}})
    assert (server.stopped, client.stopped) == (1, 0)


@pytest.mark.parametrize(
    ("server", "client", "outcome", "reason"),
    [
        # The server's memory explains the client's failure, however late its end is seen.
        (
            Script(OOM, False),
            Script(BAD, True),
            Outcome.OUT_OF_MEMORY,
            "the server: the kernel killed it; client: exit code 1",
        ),
        (
            Script(GOOD, False),
            Script(OOM, True),
            Outcome.OUT_OF_MEMORY,
            "client: the kernel killed it",
        ),
        (
            Script(Exit(Outcome.ENGINE_ERROR, None, "cannot be killed"), False, obeys=False),
            Script(GOOD, True),
            Outcome.ENGINE_ERROR,
            "the server: cannot be killed",
        ),
        (
            Script(GOOD, False, obeys=False),
            Script(BAD, True),
            Outcome.FAILED,
            "client: exit code 1; the server was killed: it did not end when it was stopped (TERM)",
        ),
    ],
)
def test_the_first_cause_is_told_first(
    tmp_path: Path, server: Script, client: Script, outcome: Outcome, reason: str
) -> None:
    ended = run(tmp_path, server, client)
    assert (ended.outcome, ended.reason) == (outcome, reason)
    assert server.stopped == 1


def test_a_client_that_cannot_be_started_raises(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(READY)

    def start_client(port: int) -> contextlib.AbstractContextManager[Handle]:
        raise OSError("no")

    limits = Limits(20.0, threading.Event())
    with pytest.raises(OSError, match="no"):
        serving.run(Script(GOOD, False), tmp_path / "log", start_client, limits)


class Endless(io.RawIOBase):
    """A log that always has more: whoever reads it to its end reads for ever."""

    def __init__(self, reads: list[int]) -> None:
        self._reads = reads

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def read(self, size: int = -1) -> bytes:
        self._reads.append(size)
        assert len(self._reads) < 1000, "read on and on"
        return b"x" * (size - 1) + b"\n"


@pytest.mark.parametrize("why", ["deadline", "readiness", "stopped"])
def test_a_server_that_floods_its_log_is_stopped_at_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    reads: list[int] = []
    monkeypatch.setattr(Path, "open", lambda path, *mode, **how: Endless(reads))
    cancel = threading.Event()
    deadline_s = 0.0 if why == "deadline" else 600.0
    if why == "readiness":
        monkeypatch.setattr(serving, "READY_S", 0.0)
    if why == "stopped":
        cancel.set()
    server = Script(BAD, False)

    def start_client(port: int) -> contextlib.AbstractContextManager[Handle]:
        raise AssertionError("it was never ready")

    ended = serving.run(server, tmp_path / "log", start_client, Limits(deadline_s, cancel))
    if why == "stopped":
        assert ended.outcome is Outcome.INTERRUPTED
    else:
        assert ended.outcome is Outcome.TIMED_OUT
        assert ended.reason.startswith("the server was not ready: still running after")
    assert server.stopped == 1
    assert len(reads) < 5
    assert all(size <= 2**20 for size in reads)


def test_what_is_left_of_an_ended_server_s_log_is_read(tmp_path: Path) -> None:
    malformed = b':::LMS {"event": "ready", "port": 0}\n'
    (tmp_path / "log").write_bytes(b"x\n" * 2_000_000 + malformed)

    def start_client(port: int) -> contextlib.AbstractContextManager[Handle]:
        raise AssertionError("it was never ready")

    limits = Limits(60.0, threading.Event())
    ended = serving.run(Script(BAD, True), tmp_path / "log", start_client, limits)
    assert (ended.outcome, "without a port" in ended.reason) == (Outcome.FAILED, True)
