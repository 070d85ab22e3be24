"""Streams of a container: separated, followed into log files, and read again after its end."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

from harness.engine.log_file import LIMIT, LogFile

# The daemon's framing of the two streams: one byte stream number, three of zero, four of length.
# https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerAttach
_HEADER = struct.Struct(">BxxxL")
STDOUT, STDERR = 1, 2
_BUFFER = 2**16


def buffered(attached: Any) -> BinaryIO:
    """What the library gives for an attached container as a stream to read from.

    That is a raw stream over a Unix socket or TCP, and a socket over TLS or ssh.
    """
    if isinstance(attached, io.RawIOBase):
        return io.BufferedReader(attached, _BUFFER)
    stream: BinaryIO = attached.makefile("rb", _BUFFER)
    return stream


def demultiplex(stream: BinaryIO, logs: dict[int, LogFile]) -> None:
    """Writes an attached container's streams to their files until the stream ends or breaks.

    `docker.utils.socket.frames_iter` would do it too, but it polls the socket before every read:
    over TLS a frame that has come together with its header is decrypted already and lies in the
    library's buffer, the socket has nothing, and the frame is not seen until the next one comes.
    The marker that a server is ready would never be.
    """
    while len(header := stream.read(_HEADER.size)) == _HEADER.size:
        number, length = _HEADER.unpack(header)
        while length:
            data = stream.read(min(length, _BUFFER))
            if not data:
                return
            length -= len(data)
            if number in logs:
                logs[number].write(data)


def replace(log: LogFile, chunks: Iterable[bytes], limit: int = LIMIT) -> LogFile:
    """Puts what was read again in the place of what was followed, unless that has no more.

    The connection that a running container is followed through may break unseen; what the daemon
    kept may have lost its beginning. The longer of the two is the log. Returns it, closed.
    """
    log.close()
    path = log.path
    temporary = path.with_name(f".{path.name}.again")
    again = LogFile(temporary, limit)
    try:
        with again:
            for chunk in chunks:
                again.write(chunk)
        if again.same_as(log) or again.total < log.total:
            return log
        if again.problem is not None:
            log.problem = log.problem or again.problem
            return log
        temporary.replace(path)
        again.path = path
        return again
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
