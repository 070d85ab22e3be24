"""Runs one command, and ends all that descends from it: with the command, or with the driver.

    python -I -S supervisor.py CHANNEL COMMAND...

A process that starts a session of its own leaves its process group, and one whose parent has ended
goes to init: neither a group nor a tree of parents finds it any more. On Linux this process takes
init's place (PR_SET_CHILD_SUBREAPER, prctl(2)): what descends from the command stays below it.

CHANNEL is the descriptor of a socket. One JSON object a line says `{"pid": …}` when the command
runs, or `{"error": …}` when it does not; `{"status": …}`, as of `waitpid`, when it has ended and
all that descended from it as well. Each byte that comes is answered with `{"ended": …}`: the number
of descendants that were ended while the command went on. The end of the socket ends everything: it
is the driver's end too.

It imports the standard library alone, so that it starts without `site`, in half the time.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

_PATIENCE_S = 10.0  # for descendants that the kernel does not let die, or that are another user's
_PAUSE_S = 0.002
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class _Supervisor:
    """The command and what descends from it."""

    def __init__(self, command: list[str]) -> None:
        """Starts the command.

        Raises:
            OSError: it could not be started.
        """
        _control(_PR_SET_CHILD_SUBREAPER, 1)
        self.status: int | None = None
        # It imports nothing and takes no lock between fork and exec.
        self._command = subprocess.Popen(command, start_new_session=True, preexec_fn=_die_too)
        self.pid = self._command.pid

    def reap(self) -> bool:
        """Takes the exit status of whatever has ended; whether there are still children."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                self.status = status

    def end(self, command_too: bool) -> int:
        """Ends what descends from the command, and it as well; returns how many processes.

        Those that have left the command's tree are children of this process; the children of one
        that ends become so. One that forks and ends, again and again, is another process each time
        it is looked for: each is killed as soon as it is found, and there is no pause as long as
        others are.
        """
        ended: set[int] = set()
        deadline = time.monotonic() + _PATIENCE_S
        while self.reap() and time.monotonic() < deadline:
            found = set()
            for pid in _children():
                if pid != self.pid or command_too or self.status is not None:
                    found.add(pid)
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            if not found:
                break
            if found <= ended:
                time.sleep(_PAUSE_S)
            ended |= found
        return len(ended)


def _children() -> Iterator[int]:
    """Children of this process, the latest first; none where there is no /proc to tell."""
    own = os.getpid()
    try:
        names = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return
    for pid in sorted(names, reverse=True):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - in a tenth of the time
                stat = file.read()
        except OSError:
            continue
        # The name before it, in brackets, may hold anything.
        if int(stat.rpartition(b")")[2].split()[1]) == own:
            yield pid


def _die_too() -> None:
    """In the child: ended by the kernel with this process, should something kill it."""
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)


_libc = ctypes.CDLL(None)


def _say(channel: socket.socket, **fields: object) -> None:
    with contextlib.suppress(OSError):  # the driver's end is noticed where it is waited for
        channel.sendall(json.dumps(fields).encode() + b"\n")


def _leave_streams() -> None:
    """Standard streams are the command's alone: who reads them waits for their end."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)


def main(channel: socket.socket, command: list[str]) -> None:
    """Runs the command to its end, or to the driver's."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(ended, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    try:
        supervisor = _Supervisor(command)
    except (OSError, ValueError) as problem:
        _say(channel, error=str(problem))
        return
    _leave_streams()
    _say(channel, pid=supervisor.pid)
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(ended, select.POLLIN)
    supervisor.reap()
    while supervisor.status is None:
        ready = {number for number, _ in poll.poll()}
        if ended in ready:
            os.read(ended, 4096)
            supervisor.reap()
        if channel.fileno() in ready and supervisor.status is None:
            asked = _receive(channel)
            if not asked:
                supervisor.end(command_too=True)
                return
            for _ in asked:
                _say(channel, ended=supervisor.end(command_too=False))
    supervisor.end(command_too=True)
    _say(channel, status=supervisor.status)


def _receive(channel: socket.socket) -> bytes:
    try:
        return channel.recv(64)
    except OSError:
        return b""


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
