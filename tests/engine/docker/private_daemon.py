"""A Docker daemon of a test's own, which may be killed and started again.

It has folders, a socket and a containerd namespace of its own, and no network. What it has left at
the end of the test goes: containers whose daemon was killed live on below their shims.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import psutil
import pytest
from docker import APIClient

from harness.engine.docker.daemon import ERRORS, Daemon

_START_S = 60.0
_STOP_S = 30.0


def _bridge() -> str:
    """A daemon without a bridge deletes that of the machine's own daemon; nobody uses it here."""
    names = [name for _, name in socket.if_nameindex()]
    return f"--bridge={'docker0' if 'docker0' in names else 'none'}"


class PrivateDaemon:
    """A daemon below a folder of its own.

    Attributes:
        address: for DOCKER_HOST.
        log: what the daemon says.
    """

    def __init__(self, folder: Path) -> None:
        self.address = f"unix://{folder}/docker.sock"
        self.log = folder / "dockerd.log"
        self._folder = folder
        # Not the folder's name: containerd takes no two separators in a row, and none at the end.
        self._namespace = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def stopped(self) -> bool:
        """Whether it has ended."""
        return self._process is None or self._process.poll() is not None

    def start(self, wait: bool = True) -> None:
        """Starts it; returns when it answers."""
        program = shutil.which("dockerd")
        assert program is not None
        self._forget_containerd()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    *("--host", self.address, "--pidfile", f"{self._folder}/dockerd.pid"),
                    *("--data-root", f"{self._folder}/data", "--exec-root", f"{self._folder}/exec"),
                    *("--containerd-namespace", f"test-{self._namespace}"),
                    *("--containerd-plugins-namespace", f"plugins-{self._namespace}"),
                    *(_bridge(), "--iptables=false", "--ip6tables=false"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait()

    def _forget_containerd(self) -> None:
        """Ends the containerd of a daemon that was killed, which the next would take for its own.

        It ends by itself, and stays there as a zombie where this machine's init reaps none.
        """
        for process in self._processes("containerd.toml"):
            with contextlib.suppress(psutil.Error):
                process.kill()
        for name in ("containerd.pid", "containerd.sock", "containerd.sock.ttrpc"):
            (self._folder / "exec" / "containerd" / name).unlink(missing_ok=True)

    def _processes(self, name: str = "") -> list[psutil.Process]:
        """Those that work below its folder, with this name of a file in their command line."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or ()
            if any(str(self._folder) in word and name in word for word in words):
                found.append(process)
        return found

    def wait(self) -> None:
        """Waits until it answers."""
        late = time.monotonic() + _START_S
        while not self.answers():
            assert self._process is not None
            said = self.log.read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, said
            assert time.monotonic() < late, said
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(*ERRORS), contextlib.closing(self.client()) as client:
            return bool(client.ping())
        return False

    def client(self, timeout_s: float = 60.0) -> APIClient:
        """A client of it; the caller closes it."""
        return docker.APIClient(self.address, version="1.41", timeout=int(timeout_s))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it as a service manager would, or kills it; returns when it has ended."""
        if self._process is None or self.stopped:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, e.g. SIGSTOP: it is there and does not answer."""
        assert self._process is not None
        self._process.send_signal(number)

    def bring(self, source: APIClient, image: str) -> None:
        """Brings an image in from another daemon, under the same ID."""
        with contextlib.closing(self.client(300)) as client:
            client.load_image(b"".join(source.get_image(image)))

    def containers(self) -> list[str]:
        """IDs of all its containers, running or not."""
        with contextlib.closing(self.client()) as client:
            return [entry["Id"] for entry in client.containers(all=True)]

    def remove_container(self, name: str) -> None:
        """Removes a container, whatever it does."""
        with contextlib.closing(self.client()) as client:
            client.remove_container(name, force=True, v=True)

    def remove(self) -> None:
        """Ends it with all that it started, and removes its folder."""
        with contextlib.suppress(*ERRORS, AssertionError):
            self.send(signal.SIGCONT)
            if self.answers():
                for name in self.containers():
                    self.remove_container(name)
        self.stop()
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
            below = [line.split()[1] for line in mounts if f" {self._folder}/" in line]
        for place in reversed(below):
            subprocess.run(["umount", "-l", place], capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def running(*images: str) -> Iterator[PrivateDaemon]:
    """A daemon that answers, with images of the shared one; skips where none can be had.

    Args:
        images: their IDs or names.
    """
    if shutil.which("dockerd") is None:
        pytest.skip("there is no dockerd to start")
    if os.geteuid() != 0:
        pytest.skip("starting a daemon needs root")
    # A short path: that of a Unix socket has 107 bytes.
    private = PrivateDaemon(Path(tempfile.mkdtemp(prefix="lms-dockerd-", dir="/tmp")))
    try:
        private.start()
        for image in images:
            private.bring(Daemon().client(), image)
        yield private
    finally:
        private.remove()
