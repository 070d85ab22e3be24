"""The two engines as what there is to kill of their runs, and what is left of them afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
from docker import APIClient
from docker.errors import DockerException

from harness.engine.docker.daemon import LABEL, Daemon
from tests.engine.docker.private_daemon import PrivateDaemon
from tests.kills import remains
from tests.kills.checkout import COLD, WARM, Checkout
from tests.kills.index import Index
from tests.kills.namespace import Namespace
from tests.kills.watched import Watched

BASE = "lms-harness-test/base"
# A base with pip and what passes for TensorFlow: a build on it makes no pip of its own first,
# which takes longer than all the rest.
_DOCKERFILE = b"""FROM %s
USER root
RUN python3 -c 'import glob, os, sysconfig, zipfile; \
place = sysconfig.get_path("purelib"); os.makedirs(place, exist_ok=True); \
wheels = glob.glob("/usr/share/python-wheels/pip-*.whl"); \
[zipfile.ZipFile(wheel).extractall(place) for wheel in wheels]; \
open(os.path.join(place, "tensorflow.py"), "w").close(); \
os.execlp("python3", "python3", "-m", "compileall", "-q", place)'
"""
_RECOVERS_S = 60.0
_RESTART_S = 1.0  # what an init system waits before it starts a daemon that has ended


@dataclass(frozen=True)
class Victim:
    """Something that is alive and gets signals; `send` says whether it still was."""

    send: Callable[[signal.Signals], bool]


class Side(Protocol):
    """One engine."""

    checkout: Checkout

    def start(self) -> Watched:
        """Starts a run of the matrix."""

    def victims(self, run: Watched, target: str) -> list[Victim]:
        """What is alive of a target."""

    def tend(self) -> None:
        """Does what the machine would do while a run goes on: starts a dead daemon again."""

    def recover(self) -> None:
        """Waits until the machine is ready for the next run."""

    def remains(self) -> list[str]:
        """What is left of all runs; a line for each thing."""

    def secrets(self) -> list[str]:
        """Where the password of the index still is; a line for each file."""

    def clear(self, renew: bool) -> None:
        """Removes it, so that it is not found again; and all that was built where `renew`."""

    def close(self) -> None:
        """Ends what belongs to it."""


class VenvSide:
    """The venv engine: a flavor that starts phases cold, and one that forks them."""

    def __init__(self, work: Path, index: Index) -> None:
        self.checkout = Checkout(work, index)
        self._work, self._password = work, index.password

    def start(self) -> Watched:
        """See `Side`."""
        checkout = self.checkout
        command = checkout.command("venv", COLD, WARM)
        return Watched(command, checkout.variables(), checkout.reports)

    def victims(self, run: Watched, target: str) -> list[Victim]:
        """See `Side`."""
        return [victim(pid) for pid in self._pids(run, target)]

    def tend(self) -> None:
        """See `Side`."""

    def recover(self) -> None:
        """See `Side`."""

    def remains(self) -> list[str]:
        """See `Side`."""
        return remains.of_files(self.checkout) + remains.processes(self._work)

    def secrets(self) -> list[str]:
        """See `Side`."""
        return remains.words(self._password, *self.checkout.places)

    def clear(self, renew: bool) -> None:
        """See `Side`."""
        remains.end_processes(self._work)
        remains.remove_files(self.checkout)
        if renew:
            self.checkout.renew()

    def close(self) -> None:
        """See `Side`."""
        remains.end_processes(self._work)

    def _pids(self, run: Watched, target: str) -> Iterator[int]:
        if target == "driver":
            yield from (run.pid for _ in range(run.code is None))
            return
        for process, words in _descendants(run.pid):
            if "supervisor.py" in " ".join(words[:4]):
                kind = "supervisor"
            elif Path(words[0]).name == "uv":
                kind = "build"
            elif any(word.endswith("forks/server.py") for word in words):
                # A fork has the command line of what it is a fork of, and a session of its own.
                kind = "phase" if _forked(process) else "fork server"
            elif any("/families/" in word for word in words):
                kind = "phase"
            else:
                continue
            if kind == target:
                yield process.pid


class DockerSide:
    """The docker engine, on a daemon of its own.

    Attributes:
        daemon: that daemon.
    """

    def __init__(self, work: Path, index: Index, base: str, network: Namespace) -> None:
        """Starts the daemon.

        Args:
            work: where everything else is made.
            index: reached on the daemon's network.
            base: names an image of the default daemon.
            network: of the daemon, and of builds.

        Raises:
            ERRORS: the default daemon, or the image, is not there.
            OSError: there is no `dockerd`.
        """
        self.checkout = Checkout(work, index)
        self._work, self._password, self._network = work, index.password, network
        # Short, for the path of a socket; and a name that containerd takes for a namespace.
        self._place = Path("/tmp", f"lms-dockerd-{secrets.token_hex(4)}")
        self._place.mkdir(mode=0o700)
        self.daemon = PrivateDaemon(self._place)
        self._ended: float | None = None
        self._doomed = False
        try:
            if shutil.which("dockerd") is None:
                raise FileNotFoundError("there is no dockerd to start")
            with network.entered():
                self.daemon.start()
            self.daemon.bring(Daemon().client(), base)
            with contextlib.closing(self.daemon.client()) as client:
                made(client, _DOCKERFILE % base.encode(), BASE)
        except BaseException:
            self.daemon.remove()
            raise

    def start(self) -> Watched:
        """See `Side`."""
        checkout = self.checkout
        variables = {
            **checkout.variables(),
            "DOCKER_HOST": self.daemon.address,
            "BASE_IMAGE": BASE,
        }
        return Watched(checkout.command("docker", WARM), variables, checkout.reports)

    def victims(self, run: Watched, target: str) -> list[Victim]:
        """See `Side`."""
        if target == "driver":
            return [victim(run.pid) for _ in range(run.code is None)]
        if target == "daemon":
            return [Victim(self._send_daemon)]
        try:
            with contextlib.closing(self.daemon.client()) as client:
                running = client.containers()
                ours = [entry["Id"] for entry in running if entry["Labels"].get(LABEL) == "phase"]
                if target == "container":
                    return [self._container(name) for name in ours]
                others = [entry["Id"] for entry in running if entry["Id"] not in ours]
                chosen, inner = (ours, _script) if target == "phase" else (others, _youngest)
                first = [client.inspect_container(name)["State"]["Pid"] for name in chosen]
        except (DockerException, OSError):
            return []
        return [victim(pid) for pid in filter(None, map(inner, first))]

    def tend(self) -> None:
        """See `Side`."""
        if _alive(self.daemon.pid):
            return
        now = time.monotonic()
        self._ended = self._ended or now
        if now - self._ended >= _RESTART_S:
            with self._network.entered():
                self.daemon.start(wait=False)
            self._ended, self._doomed = None, False

    def recover(self) -> None:
        """See `Side`.

        Raises:
            RuntimeError: the daemon does not come back.
        """
        late = time.monotonic() + _RECOVERS_S
        while self._doomed or not self.daemon.answers():
            if time.monotonic() > late:
                said = self.daemon.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the private daemon does not come back: {said}")
            self.tend()
            time.sleep(0.1)

    def remains(self) -> list[str]:
        """See `Side`."""
        with contextlib.closing(self.daemon.client()) as client:
            return [
                *remains.of_files(self.checkout),
                *remains.processes(self._work),
                *remains.contained(self._place),
                *remains.of_daemon(client),
            ]

    def secrets(self) -> list[str]:
        """See `Side`."""
        return remains.words(self._password, *self.checkout.places, self._place / "data")

    def clear(self, renew: bool) -> None:
        """See `Side`."""
        remains.end_processes(self._work)
        remains.remove_files(self.checkout)
        with contextlib.closing(self.daemon.client()) as client:
            remains.empty_daemon(client, BASE, images=renew)
        if renew:
            self.checkout.renew()

    def close(self) -> None:
        """See `Side`."""
        remains.end_processes(self._work)
        self.daemon.remove()

    def _send_daemon(self, number: signal.Signals) -> bool:
        alive = victim(self.daemon.pid).send(number)
        # A hang-up makes it read its configuration; what ends it may take its time.
        self._doomed |= alive and number != signal.SIGHUP
        return alive

    def _container(self, name: str) -> Victim:
        def send(number: signal.Signals) -> bool:
            try:
                with contextlib.closing(self.daemon.client()) as client:
                    client.kill(name, number.name)
            except (DockerException, OSError):
                return False
            return True

        return Victim(send)


def made(client: APIClient, dockerfile: bytes, name: str | None = None) -> str:
    """Builds an image without a context; returns its ID.

    Raises:
        RuntimeError: the build broke.
    """
    said = list(client.build(fileobj=io.BytesIO(dockerfile), tag=name, decode=True, rm=True))
    found = [event["aux"]["ID"] for event in said if "ID" in event.get("aux", {})]
    if not found:
        raise RuntimeError(f"a build broke: {said[-1:]}")
    return str(found[-1])


def victim(pid: int) -> Victim:
    """A process."""

    def send(number: signal.Signals) -> bool:
        try:
            if not _alive(pid):
                return False
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    return Victim(send)


def _alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _descendants(pid: int) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Living processes below one, each with its command line."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if words:  # none: it has ended
                    yield process, words


def _forked(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        parent = process.parent()
        return parent is not None and "supervisor.py" not in " ".join(parent.cmdline()[:4])
    return False


def _script(pid: int) -> int | None:
    """The script that a container's init has started."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            if any("/families/" in word for word in child.cmdline()):
                return child.pid
    return None


def _youngest(pid: int) -> int | None:
    """The youngest process of a container: its first one ignores every signal but SIGKILL."""
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(pid)
        return max([first, *first.children(recursive=True)], key=lambda one: one.create_time()).pid
    return None
