"""The Docker daemon: where it is, what it can do, and its errors as one line.

The Docker library is wrapped here once. Its errors come in two families that have nothing in
common: `DockerException` for what the daemon answers (`APIError` is also a requests error), and
exceptions of requests and urllib3 for a connection that broke.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import cached_property
from typing import Any

import docker
import requests
import urllib3
from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION, MINIMUM_DOCKER_API_VERSION
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException
from docker.types import CancellableStream, DeviceRequest
from docker.utils import parse_host
from packaging.version import Version

from harness.base import text
from harness.base.error import StoppedError, UsageError
from harness.base.stop import follow
from harness.engine.owner import LABEL as LABEL
from harness.engine.resources import Resources

# Everything that a call of the Docker library raises when the daemon or the way to it is at fault.
ERRORS = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)

# Device requests came with 1.40 (Docker 19.03).
OLDEST_API = Version("1.40")

_TIMEOUT_S = 120  # seconds without an answer; removing a large container takes a while
_LOOK_S = 0.2  # how late the end of a run may be seen while the daemon is at work
_CUT_S, _SILENT_S = 2.0, 2.0
_ANSWER_S = 1.0  # a daemon that is well takes a few milliseconds
_WAITING = 1000  # events of a long call that are kept in memory

# What the daemon, runc and the container toolkit say when they cannot hand a GPU to a container.
_GPU_FAULT = re.compile(
    r"could not select device driver|nvidia-container-(?:cli|runtime)|libnvidia-container"
    r"|\bnvml error\b|\bCDI\b|nvidia\.com/gpu|unknown or invalid runtime name: nvidia",
    re.IGNORECASE,
)


class Daemon:
    """A connection to the daemon that DOCKER_HOST, or the active Docker context, names."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._silent = -_SILENT_S  # when it did not answer, on the monotonic clock

    def client(self) -> APIClient:
        """This thread's client: a requests session is not meant to be shared.

        Raises:
            ERRORS: the daemon does not answer.
        """
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = _client(self.api_version)
        return client

    def answers(self) -> bool:
        """Whether it answers, at once; one that is silent is not asked again for a moment."""
        if time.monotonic() - self._silent < _SILENT_S:
            return False
        try:
            with contextlib.closing(_client(MINIMUM_DOCKER_API_VERSION, _ANSWER_S)) as client:
                client.ping()
        except APIError:
            return True  # an answer it is
        except ERRORS:
            self._silent = time.monotonic()
            return False
        return True

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

    def check_settings(self) -> None:
        """Raises UsageError when DOCKER_HOST or the Docker context can name no daemon at all.

        The library takes the default daemon in the place of a context that is not there.
        """
        if host := os.environ.get("DOCKER_HOST"):
            try:
                parse_host(host)
            except (DockerException, ValueError) as problem:
                raise UsageError(f"DOCKER_HOST={host} is no address: {problem}") from problem
            return
        name = os.environ.get("DOCKER_CONTEXT") or str(get_current_context_name())
        reason = "there is no such context"
        try:
            context = ContextAPI.get_context(name)
        except Exception as problem:  # a file of Docker's that is broken; the library raises these
            context, reason = None, text.one_line(str(problem), 200)
        if context is None or not context.Host:
            where = "DOCKER_CONTEXT" if os.environ.get("DOCKER_CONTEXT") else "Docker's config.json"
            raise UsageError(f"{where}: Docker context {name!r}: {reason}; see `docker context ls`")

    def check(self) -> None:
        """Raises UsageError with one line when no usable daemon answers."""
        self.check_settings()
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
            return with_advice(text.one_line(str(problem.explanation or problem), 400))
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

    @property
    def resources(self) -> Resources:
        """Cores and memory of the daemon's machine, which need not be this one.

        Raises:
            ERRORS: the daemon does not answer.
        """
        return Resources(cores=int(self.info["NCPU"]), memory_bytes=int(self.info["MemTotal"]))

    def events(
        self,
        ask: Callable[[APIClient], Iterable[Mapping[str, Any]]],
        cancel: threading.Event,
    ) -> Generator[Mapping[str, Any], None, None]:
        """What the daemon says during a long call, such as a build or a pull, as it comes.

        A connection that nobody reads from is no reason for the daemon to stop, and a read that
        waits cannot be interrupted: the call has a thread and a client of its own, and its
        connection is cut when the run is stopped or the caller asks for no more.

        Close it (`contextlib.closing`) where the last event may not be waited for.

        Args:
            ask: makes the call with the client that it gets.

        Raises:
            StoppedError: `cancel` was set; the daemon is told to stop.
            ERRORS: the daemon refuses, or the connection broke.
        """
        if cancel.is_set():
            raise StoppedError("the run was stopped")
        call = _Call(ask, self.api_version)
        try:
            while True:
                if cancel.is_set():
                    follow(cancel)
                    raise StoppedError("the run was stopped")
                with contextlib.suppress(queue.Empty):
                    event = call.next(_LOOK_S)
                    if event is None:
                        return
                    yield event
        finally:
            call.cut()

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


class _Call:
    """A call whose answer is a stream of events, in a thread of its own."""

    def __init__(
        self, ask: Callable[[APIClient], Iterable[Mapping[str, Any]]], version: str
    ) -> None:
        self._ask = ask
        self._version = version
        self._events: queue.Queue[Mapping[str, Any] | BaseException | None] = queue.Queue(_WAITING)
        self._responses: list[requests.Response] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="daemon", daemon=True)
        self._thread.start()

    def next(self, seconds: float) -> Mapping[str, Any] | None:
        """The next event, None after the last one.

        Raises:
            queue.Empty: there is none in time.
            ERRORS: the call broke.
        """
        event = self._events.get(timeout=seconds)
        if isinstance(event, BaseException):
            raise event
        return event

    def cut(self) -> None:
        """Ends the connection, which is how the daemon knows that nobody waits any more."""
        self._over.set()
        for response in self._responses:
            _shut(response)
        self._thread.join(_CUT_S)

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            with contextlib.closing(_client(self._version)) as client:
                # The library does not show the response of a stream that is decoded.
                client.hooks["response"].append(self._answered)
                for event in self._ask(client):
                    self._put(event)
        except BaseException as problem:  # the caller's thread raises it
            end = problem
        self._put(end)

    def _answered(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._responses.append(response)
        if self._over.is_set():
            _shut(response)

    def _put(self, event: Mapping[str, Any] | BaseException | None) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._events.put(event, timeout=_LOOK_S)
                return


def _shut(response: requests.Response) -> None:
    """Shuts a response's socket down: closing alone would not wake the thread that reads it.

    Over ssh the library has no way to: that connection ends with this process.
    """
    with contextlib.suppress(*ERRORS, AttributeError):  # it has ended by itself
        CancellableStream(iter(()), response).close()


def with_advice(reason: str) -> str:
    """A reason of the daemon's; one about handing out a GPU with what can be done about it."""
    if _GPU_FAULT.search(reason) is None:
        return reason
    return (
        f"the Docker daemon could not hand the GPU to the container: {reason}; check it with"
        " `docker run --rm --gpus all IMAGE nvidia-smi`, repair the NVIDIA container toolkit or"
        " restart Docker, or use ENGINE=venv"
    )


def _client(version: str, timeout_s: float = _TIMEOUT_S) -> APIClient:
    client = docker.from_env(version=version, timeout=timeout_s).api  # type: ignore[arg-type]
    merge = client.merge_environment_settings

    def keep_certificates(url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        # requests puts REQUESTS_CA_BUNDLE, which is for the package index, before a session's own
        # setting, which is the daemon's certificate authority (requests issue 3829).
        return merge(url, proxies, stream, client.verify if verify is None else verify, cert)

    client.merge_environment_settings = keep_certificates  # type: ignore[method-assign]
    return client


def _errno(problem: BaseException | None) -> int | None:
    """The error number at the bottom of a chain of wrapped exceptions."""
    while problem is not None:
        if isinstance(problem, ssl.SSLError):
            return None  # its numbers are OpenSSL's
        if isinstance(problem, OSError) and isinstance(problem.errno, int):
            return problem.errno
        # urllib3 and requests wrap the cause in their arguments.
        inner = [part for part in _arguments(problem) if isinstance(part, OSError) and part.errno]
        if inner:
            return _errno(inner[0])
        problem = problem.__cause__ or problem.__context__
    return None


def _arguments(problem: BaseException) -> list[object]:
    return [part for value in problem.args for part in (value, *getattr(value, "args", ()))]
