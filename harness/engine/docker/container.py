"""One phase as a container: how it is created, what it is seen as, and how its end is read."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.types import LogConfig, Mount, Ulimit

from harness.base import text
from harness.engine import ending, owner
from harness.engine.docker.daemon import LABEL, Daemon, with_advice
from harness.engine.protocol import Exit, Launch
from harness.record.models import Outcome

# Where a phase finds its directories.
_SCENARIOS, _DATA, _INPUT, _OUTPUT, _LMS = "/scenarios", "/data", "/input", "/output", "/lms"
_PROVIDER = "/provider"
_HOME, _WORK, _TMP = "/home/phase", "/work", "/tmp"

# What a phase that serves is called on its private network, and where it listens there.
SERVER, HOST, PORT = "server", "0.0.0.0", 5000

# A driver that is root gives its containers this uid, which no distribution gives to anybody.
_UNPRIVILEGED = 65532

# TensorFlow starts a few threads for each core and library, and each counts as a process.
_PIDS = 4096
_FILES = 65536
_SHARED_MEMORY = "1g"
_TMPFS = "8g"  # an upper limit for each scratch directory; what is used counts as memory

# Rotation drops the oldest, so there is more room than for the logs that are kept.
_DAEMON_LOG = {"max-size": "256m", "max-file": "3", "compress": "false"}

Inspect = Callable[[], Mapping[str, Any]]


def user(daemon: Daemon) -> tuple[int, int]:
    """uid and gid of the phases: the caller's, so that artifacts are theirs, and never root's."""
    if daemon.has_security_option("rootless"):
        return 0, 0  # root of the daemon's user namespace is the unprivileged user who runs it
    if os.getuid() == 0:
        return _UNPRIVILEGED, _UNPRIVILEGED
    return os.getuid(), os.getgid()


def give_output(launch: Launch, daemon: Daemon) -> None:
    """Gives the output directory to the phase's uid where a driver that is root made it.

    Raises:
        OSError: the file system refuses.
    """
    uid, gid = user(daemon)
    if os.getuid() == 0 and uid != 0:
        os.chown(launch.output, uid, gid, follow_symlinks=False)


def environment(launch: Launch) -> dict[str, str]:
    """The variables of the contract, with the directories as the container sees them."""
    contract = launch.contract(
        home=_HOME,
        temporary=_TMP,
        scenarios=_SCENARIOS,
        data=_DATA,
        input_directory=_INPUT,
        output=_OUTPUT,
        lms=_LMS,
        provider=_provider_target(launch),
    )
    # The image says "void"; the daemon adds the GPU's own to what it finds here.
    return {**contract, "NVIDIA_VISIBLE_DEVICES": launch.gpu or "void"}


def phase_command(launch: Launch, script: str | None = None) -> list[str]:
    """What runs in the container: the image's Python, which its PATH finds first.

    Args:
        script: path below `scenarios`, by default the phase's.
    """
    return ["python3", "-s", "-u", f"{_SCENARIOS}/{script or launch.script}"]


def configuration(
    client: APIClient,
    daemon: Daemon,
    launch: Launch,
    terminal: bool | None = None,
    network: str | None = None,
) -> dict[str, Any]:
    """Everything that the daemon is told to create the container.

    Args:
        terminal: None runs the phase; otherwise a shell, with a terminal or without.
        network: ID of the private network of a phase that serves, and of its client; None for
            no network at all. A phase with a client is known there as `SERVER`.
    """
    uid, gid = user(daemon)
    common = f"rw,exec,nosuid,nodev,size={_TMPFS},mode=1777"
    # Podman's are root's in any case; there is but one user in the container.
    scratch = common if daemon.podman else f"{common},uid={uid},gid={gid}"
    host_config = client.create_host_config(
        mounts=_mounts(launch),
        tmpfs={_TMP: scratch, _HOME: scratch, _WORK: scratch},
        network_mode=network or "none",
        # A daemon older than 23.0.11 asks the host's name servers on behalf of a network without a
        # way out (CVE-2024-29018), unless the container has others; nothing listens there.
        dns=["127.0.0.1"] if network else None,
        ipc_mode="private",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=[
            "no-new-privileges",
            # A label would have to be put on every file of the mounts, which are the user's.
            *(["label=disable"] if daemon.has_security_option("selinux") else []),
        ],
        # Another user namespace's uid could not write to the output directory.
        userns_mode="host" if daemon.has_security_option("userns") else None,
        pids_limit=_PIDS,
        mem_limit=launch.memory,
        memswap_limit=launch.memory,  # the sum of both: no swap, which would hide a peak
        shm_size=_SHARED_MEMORY,
        init=True,
        ulimits=_limits(daemon),
        device_requests=daemon.device_requests(launch.gpu) if launch.gpu else None,
        log_config=_log_config(daemon, terminal),
    )
    if terminal is None:
        labels = launch_labels("phase", launch, launch.deadline_s)
        entry, arguments = phase_command(launch)[:1], phase_command(launch)[1:]
    else:
        labels = launch_labels("shell", launch, None)  # a person has no deadline
        entry, arguments = ["/bin/sh"], ["-c", "command -v bash >/dev/null && exec bash || exec sh"]
    configuration: dict[str, Any] = client.create_container_config(
        launch.environment.handle,
        arguments,
        entrypoint=entry,
        user=f"{uid}:{gid}",
        environment=environment(launch),
        working_dir=_WORK,
        labels=labels,
        host_config=host_config,
        stdin_open=terminal is not None,
        tty=bool(terminal),
    )
    if network is not None:
        aliases = None if launch.client is None else [SERVER]
        endpoint = client.create_endpoint_config(aliases=aliases)
        configuration["NetworkingConfig"] = {"EndpointsConfig": {network: endpoint}}
    if terminal is not None:
        configuration["StdinOnce"] = True  # the shell ends with its input
    return configuration


def _limits(daemon: Daemon) -> list[Ulimit]:
    """No core file. Podman sets those that are not named to 2^20, which root may be refused."""
    limits = [Ulimit(name="core", soft=0, hard=0)]
    if daemon.podman:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
        limits.append(Ulimit(name="nofile", soft=files, hard=files))
        limits.append(Ulimit(name="nproc", soft=_PIDS, hard=_PIDS))
    return limits


def launch_labels(kind: str, launch: Launch, seconds: float | None) -> dict[str, str]:
    """Labels of what is made for a launch: whose it is, and when it has to be gone.

    Args:
        seconds: as for `owner.labels`.
    """
    return {
        **owner.labels(kind, seconds),
        f"{LABEL}.run": launch.run_id,
        f"{LABEL}.key": launch.key,
    }


def _mounts(launch: Launch) -> list[Mount]:
    """Mounts, not binds: the daemon would make a directory, root's, for a bind that is missing."""
    sources = [
        (launch.scenarios, _SCENARIOS, True),
        (launch.data, _DATA, True),
        (launch.input, _INPUT, True),
        (launch.lms_path, _LMS, True),
        (_provider_file(launch), _provider_target(launch), True),
        (launch.output, _OUTPUT, False),
    ]
    return [
        Mount(target, str(source.resolve()), type="bind", read_only=read_only)
        for source, target, read_only in sources
        if source is not None
    ]


def _provider_file(launch: Launch) -> Path | None:
    return None if launch.provider is None else launch.provider.file


def _provider_target(launch: Launch) -> str:
    """Where the file of a provider is that is none of the checkout's."""
    file = _provider_file(launch)
    return "" if file is None else f"{_PROVIDER}/{file.name}"


def _log_config(daemon: Daemon, terminal: bool | None) -> LogConfig:
    if terminal is not None:
        return LogConfig(type="none")
    if daemon.podman:
        return LogConfig(type="json-file", config={})
    # json-file turns bytes that are not UTF-8 into U+FFFD; "local" keeps them, in less space.
    return LogConfig(type="local", config=_DAEMON_LOG)


class ContainerTarget:
    """A container as the sampler sees it: its processes and its cgroup, on the host."""

    def __init__(self, container: str, inspect: Inspect) -> None:
        self._container = container
        self._inspect = inspect
        self._directory: Path | None = None
        self._asked = False

    def pids(self) -> set[int]:
        """Host pids in the container's cgroup, and in those below it."""
        directory = self._find()
        if directory is None:
            return set()
        pids: set[int] = set()
        with contextlib.suppress(OSError, ValueError):
            for path in (directory, *directory.glob("**/")):
                pids.update(map(int, (path / "cgroup.procs").read_text("ascii").split()))
        return pids

    def cgroup(self) -> Path | None:
        """The cgroup's directory where it is of version 2."""
        directory = self._find()
        unified = directory is not None and (directory / "memory.current").exists()
        return directory if unified else None

    def oom_kills(self) -> int:
        """Processes of the container that the kernel killed for its memory limit, so far."""
        directory = self._find()
        if directory is None:
            return 0
        for name in ("memory.events", "memory.oom_control"):  # version 2, version 1
            with contextlib.suppress(OSError):
                content = (directory / name).read_text("ascii")
                match = re.search(r"^oom_kill (\d+)$", content, re.MULTILINE)
                return int(match[1]) if match else 0
        return 0

    def _find(self) -> Path | None:
        """The directory, whichever driver (systemd, cgroupfs) and version made it.

        /proc says it for the container's first process. Where the daemon runs in a machine of its
        own (Docker Desktop) that pid is another process here, which the name gives away.
        """
        if not self._asked:
            self._asked = True
            with contextlib.suppress(OSError, KeyError, TypeError):
                pid = int(self._inspect()["State"]["Pid"])
                lines = Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines()
                self._directory = _cgroup_directory(lines, self._container)
        return self._directory


def _cgroup_directory(
    lines: list[str], container: str, root: Path = Path("/sys/fs/cgroup")
) -> Path | None:
    """The directory of a container from the lines of /proc/PID/cgroup, or None."""
    for controller, parent in (("", root), ("memory", root / "memory")):
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if controller not in controllers.split(",") or container not in path:
                continue
            directory = parent / path.lstrip("/")
            if (directory / "cgroup.procs").exists():
                return directory
    return None


def read_exit(
    state: Mapping[str, Any], oom: bool, details: Mapping[str, Any], asked: bool = False
) -> Exit:
    """How a container ended by itself.

    Args:
        oom: the kernel has killed a process of it for the memory limit. Exit code 137 alone says
            only SIGKILL, whoever sent it.
        asked: somebody else has had the daemon send it a signal, as `docker kill` does.
    """
    code = int(state.get("ExitCode", -1))
    if state.get("Error"):
        # The runtime or one of its hooks, e.g. the NVIDIA container toolkit's: nothing of the
        # phase has run.
        reason = with_advice(text.one_line(str(state["Error"]), 400))
        told = f"the container did not start: {reason}"
        return Exit(Outcome.ENGINE_ERROR, code, told, details, transient=True)
    if code == 0:
        return Exit(Outcome.COMPLETED, 0, "", details)
    # The init process of the container makes 128 and the number of a signal.
    ended = ending.exit_of(128 - code if 128 < code < 128 + signal.NSIG else code, details)
    if oom:
        reason = "the kernel's out-of-memory killer ended it: the container's memory limit"
        return Exit(Outcome.OUT_OF_MEMORY, code, reason, details)
    if asked:
        reason = f"{ended.reason}; the daemon was asked to end the container, not by the harness"
        return Exit(Outcome.KILLED, code, reason, details)
    return ended
