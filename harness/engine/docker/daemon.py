"""The Docker daemon: where it is, what it can do, and its errors as one line.

The Docker library is wrapped here once. Its errors come in two families that have nothing in
common: `DockerException` for what the daemon answers (`APIError` is also a requests error), and
exceptions of requests and urllib3 for a connection that broke.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from functools import cached_property
from typing import Any

import docker
import requests
import urllib3
from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION, MINIMUM_DOCKER_API_VERSION
from docker.errors import APIError, DockerException
from docker.types import DeviceRequest
from packaging.version import Version

from harness.base import text
from harness.base.error import UsageError
from harness.engine import owner

# Everything that a call of the Docker library raises when the daemon or the way to it is at fault.
ERRORS = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)

# Device requests came with 1.40 (Docker 19.03).
OLDEST_API = Version("1.40")

# Label of everything that the harness makes, and prefix of its other labels.
LABEL = "lms-harness"

# Labels of a container: who started it, and when it has to be over, in seconds since the epoch.
OWNER_LABEL, NAMESPACE_LABEL = f"{LABEL}.owner", f"{LABEL}.pid-namespace"
DEADLINE_LABEL = f"{LABEL}.deadline"

_TIMEOUT_S = 120  # seconds without an answer; removing a large container takes a while


class Daemon:
    """A connection to the daemon that DOCKER_HOST, or the active Docker context, names."""

    def __init__(self) -> None:
        self._local = threading.local()

    def client(self) -> APIClient:
        """This thread's client: a requests session is not meant to be shared.

        Raises:
            ERRORS: the daemon does not answer.
        """
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = _client(self.api_version)
        return client

    @cached_property
    def version(self) -> dict[str, Any]:
        """What the daemon says about itself: Version, ApiVersion, Components, ..."""
        # Asking needs no negotiated version, and the constructor asks nothing when it gets one.
        client = _client(MINIMUM_DOCKER_API_VERSION)
        with contextlib.closing(client):
            answer: dict[str, Any] = client.version(api_version=False)
        return answer

    @cached_property
    def info(self) -> dict[str, Any]:
        """What `docker info` says: Runtimes, CgroupDriver, SecurityOptions, ..."""
        answer: dict[str, Any] = self.client().info()
        return answer

    @cached_property
    def api_version(self) -> str:
        """The newest API version that both sides speak."""
        theirs, ours = str(self.version["ApiVersion"]), DEFAULT_DOCKER_API_VERSION
        return theirs if Version(theirs) < Version(ours) else ours

    @cached_property
    def address(self) -> str:
        """Where the daemon is, e.g. `unix:///var/run/docker.sock`."""
        client = _client(MINIMUM_DOCKER_API_VERSION)
        with contextlib.closing(client):
            path = getattr(client.get_adapter(client.base_url), "socket_path", None)
            return f"unix://{path}" if path else str(client.base_url)

    @property
    def local(self) -> bool:
        """Whether the daemon's machine is this one, as far as the address tells."""
        return self.address.startswith(("unix://", "http+docker://"))

    @property
    def podman(self) -> bool:
        """Whether it is Podman's compatibility socket."""
        components = self.version.get("Components") or []
        return any("podman" in str(entry.get("Name", "")).lower() for entry in components)

    def has_security_option(self, name: str) -> bool:
        """Whether `docker info` lists a security option, e.g. "rootless" or "selinux"."""
        options = self.info.get("SecurityOptions") or []
        return any(option.split(",")[0] == f"name={name}" for option in options)

    def check(self) -> None:
        """Raises UsageError with one line when no usable daemon answers."""
        try:
            theirs = Version(str(self.version["ApiVersion"]))
        except (*ERRORS, KeyError, ValueError) as problem:
            raise UsageError(f"no Docker daemon: {self.explain(problem)}") from problem
        if theirs < OLDEST_API:
            raise UsageError(
                f"Docker at {self.address} speaks API {theirs}; {OLDEST_API} or later is needed"
                " (Docker 19.03): update it, or use ENGINE=venv"
            )

    def explain(self, problem: BaseException) -> str:
        """One line: what went wrong and, where the daemon cannot be reached, what to do."""
        if isinstance(problem, APIError):
            return text.one_line(str(problem.explanation or problem), 400)
        if isinstance(problem, OSError) and problem.filename is not None:
            return text.one_line(str(problem), 400)  # a file of ours, not the daemon
        try:
            address = self.address
        except (*ERRORS, ValueError) as wrong:
            return f"DOCKER_HOST or the Docker context is not usable: {text.one_line(str(wrong))}"
        number = _errno(problem)
        if number in (errno.ENOENT, errno.ECONNREFUSED):
            return (
                f"nothing listens at {address}; start Docker (systemctl start docker, or dockerd),"
                " or set DOCKER_HOST"
            )
        if number in (errno.EACCES, errno.EPERM):
            return (
                f"no permission for {address}; add the user to the docker group"
                " (usermod -aG docker USER, then log in again), or use rootless Docker"
            )
        return f"{address}: {text.one_line(str(problem), 400)}"

    def device_requests(self, gpu: str) -> list[DeviceRequest]:
        """What hands one GPU to a container, by UUID: an index would depend on an order.

        With the container toolkit Docker's own "nvidia" driver does it; where the toolkit is
        known to the daemon by its CDI devices only, they are asked for by name.
        """
        if not self._nvidia_driver and self._cdi_devices:
            return [DeviceRequest(driver="cdi", device_ids=[f"nvidia.com/gpu={gpu}"])]
        return [DeviceRequest(device_ids=[gpu], capabilities=[["gpu", "compute", "utility"]])]

    def check_gpu(self, gpu: str) -> None:
        """Raises UsageError when the daemon cannot hand the GPU to a container.

        A GPU that NVML sees is not yet one that a container sees.
        """
        if self.podman:
            raise UsageError(
                f"{self.address} is Podman's compatibility socket, which ignores requests for a"
                " GPU (podman pull request 21180): use Docker, ENGINE=venv, or GPU=none"
            )
        if not self._nvidia_driver and not self._cdi_devices:
            raise UsageError(
                f"the Docker daemon at {self.address} cannot hand out GPU {gpu}: it has no NVIDIA"
                " container toolkit. Install nvidia-container-toolkit, run `nvidia-ctk runtime"
                " configure --runtime=docker`, restart Docker; or use GPU=none or ENGINE=venv"
            )
        if not self._nvidia_driver:
            names = {f"nvidia.com/gpu={name}" for name in (gpu, "all")}
            if not names & set(self._cdi_devices):
                raise UsageError(
                    f"the CDI devices of the Docker daemon do not name GPU {gpu}: run `nvidia-ctk"
                    " cdi generate --output=/etc/cdi/nvidia.yaml`, or use GPU=none"
                )

    @property
    def _nvidia_driver(self) -> bool:
        """Whether the daemon knows the toolkit.

        It registers its "nvidia" device driver when it finds the hook on its PATH, whether or not
        the runtime of that name is configured (moby, daemon/nvidia_linux.go).
        """
        if "nvidia" in (self.info.get("Runtimes") or {}):
            return True
        hook = "nvidia-container-runtime-hook"
        places = ("/usr/bin", "/usr/local/bin", "/usr/sbin")
        return self.local and any(os.access(f"{place}/{hook}", os.X_OK) for place in places)

    @property
    def _cdi_devices(self) -> list[str]:
        """CDI devices of NVIDIA that the daemon found (Docker 28.2 and later list them)."""
        devices = self.info.get("DiscoveredDevices") or []
        names = [str(entry.get("ID", "")) for entry in devices if isinstance(entry, dict)]
        return [name for name in names if name.startswith("nvidia.com/gpu=")]


def owner_labels(kind: str) -> dict[str, str]:
    """Labels that every container of ours carries; `kind` is what it is for."""
    return {LABEL: kind, OWNER_LABEL: owner.current().text(), NAMESPACE_LABEL: pid_namespace()}


def pid_namespace() -> str:
    """The namespace that this process's pid belongs to, "" where there is no such thing."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path
    return ""


def _client(version: str) -> APIClient:
    return docker.from_env(version=version, timeout=_TIMEOUT_S).api


def _errno(problem: BaseException | None) -> int | None:
    """The error number at the bottom of a chain of wrapped exceptions."""
    while problem is not None:
        if isinstance(problem, OSError) and isinstance(problem.errno, int):
            return problem.errno
        # urllib3 and requests wrap the cause in their arguments.
        inner = [part for part in _arguments(problem) if isinstance(part, OSError) and part.errno]
        if inner:
            return inner[0].errno
        problem = problem.__cause__ or problem.__context__
    return None


def _arguments(problem: BaseException) -> list[object]:
    return [part for value in problem.args for part in (value, *getattr(value, "args", ()))]
