"""GPUs as the rest of the driver knows them: what can be measured, and what can go wrong.

Nothing of NVIDIA is loaded by importing it. Three rules hold for everything here:

- What a driver or a GPU does not support is `None`, never 0.
- Sizes are bytes; the direction TX is from the GPU to the host (swap-out), RX is from the host to
  the GPU (swap-in), as in the comments of `nvml.h`.
- Every error is an `NvmlError` whose text is one line: what is wrong, and what to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.base.error import HarnessError

GPU_NONE = "or use GPU=none"

# Return codes, from nvml.h; they are part of NVML's ABI.
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
INSUFFICIENT_SIZE = 7
DRIVER_NOT_LOADED = 9
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
ARGUMENT_VERSION_MISMATCH = 25
DEPRECATED = 26

# A driver older than a call answers with the first, third or fourth, a GPU with the second.
_UNSUPPORTED = frozenset({FUNCTION_NOT_FOUND, NOT_SUPPORTED, ARGUMENT_VERSION_MISMATCH, DEPRECATED})


class NvmlError(HarnessError):
    """NVML, or one GPU, cannot be used.

    Attributes:
        code: NVML's return code, or None where NVML was not asked.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class LibraryNotFoundError(NvmlError):
    """There is no `libnvidia-ml.so.1`: no NVIDIA driver."""


class DriverNotLoadedError(NvmlError):
    """The library is there, the kernel module is not loaded."""


class DriverMismatchError(NvmlError):
    """Library and kernel module are of different versions, as after an update with no reboot."""


class NoPermissionError(NvmlError):
    """The user, or the container, may not see the GPU."""


class NoSuchGpuError(NvmlError):
    """The selector names no GPU, or more than one."""


class MigEnabledError(NvmlError):
    """The GPU is split by MIG, so that only its slices can run anything."""


class GpuLostError(NvmlError):
    """The GPU fell off the bus, or needs a reset; nothing on it can be measured any more."""


class GpuBusyError(NvmlError):
    """The memory of the GPU was not freed in time."""


class NotSupportedError(NvmlError):
    """The driver or the GPU lacks the call. Does not leave this module."""


class UnknownNvmlError(NvmlError):
    """Any other return code."""


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG slice of one.

    Attributes:
        index: NVML's index; for a MIG slice that of the GPU it is on.
        cuda_driver_version: newest CUDA version the driver can run, e.g. "12.4".
        compute_capability: (major, minor).
        mig_enabled: True for a GPU split by MIG and for a slice; None before Ampere.
        parent_uuid: for a MIG slice, the UUID of the GPU it is on.
    """

    index: int
    uuid: str
    name: str
    total_bytes: int | None
    driver_version: str | None
    cuda_driver_version: str | None
    compute_capability: tuple[int, int] | None
    mig_enabled: bool | None
    parent_uuid: str | None = None


@dataclass(frozen=True)
class Memory:
    """Memory of a device, in bytes.

    Attributes:
        reserved: what driver and firmware keep for themselves; None with version 1.
        version: of NVML's call. `used` of version 1 includes the reserved memory (300 MiB and more
            on an idle GPU), that of version 2 does not: never compare one with the other.
    """

    used: int
    free: int
    total: int
    reserved: int | None
    version: int


class Device(Protocol):
    """What can be measured on one GPU. Every method may raise `GpuLostError` or `NvmlError`."""

    uuid: str

    def memory(self) -> Memory | None:
        """Memory in use now."""

    def process_memory(self) -> dict[int, int | None] | None:
        """Bytes by pid (of the host's pid namespace) of every process that computes on it."""

    def pcie_counters(self) -> tuple[int, int, int] | None:
        """Bytes sent and received since some time in the past, and the counters' width in bits."""

    def pcie_throughput(self) -> tuple[int, int] | None:
        """KiB/s sent and received now. Blocks for about 40 ms."""


def wait_until_free(
    device: Device,
    at_most: int,
    timeout_s: float = 120.0,
    interval_s: float = 0.25,
    sleep: Callable[[float], None] = time.sleep,
) -> Memory | None:
    """Waits until no more than `at_most` bytes of a device are in use.

    The driver frees the memory of a process some time after it has exited; a phase started before
    that may run out of memory, or be measured with what the one before it left.

    Returns:
        The memory then in use, or None where the GPU does not tell.

    Raises:
        GpuBusyError: not within `timeout_s`; the text names the processes.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        memory = device.memory()
        if memory is None or memory.used <= at_most:
            return memory
        if time.monotonic() >= deadline:
            pids = sorted(device.process_memory() or {})
            holders = f"pids {', '.join(map(str, pids[:8]))}" if pids else "no process is listed"
            raise GpuBusyError(
                f"GPU {device.uuid} still has {memory.used / 2**20:.0f} MiB in use after "
                f"{timeout_s:.0f} s ({holders}); end what uses it, choose another GPU, {GPU_NONE}"
            )
        sleep(interval_s)


def error_for(code: int, subject: str, text: str = "") -> NvmlError:
    """The error for a return code of NVML.

    Args:
        subject: what was asked: "NVML", "GPU 0", or a UUID.
        text: NVML's own words, for a code that has no better ones here.
    """
    if code in _UNSUPPORTED:
        return NotSupportedError(f"{subject}: not supported by this driver or GPU", code)
    kind: type[NvmlError]
    if code == LIBRARY_NOT_FOUND:
        kind = LibraryNotFoundError
        line = (
            "no NVIDIA driver: libnvidia-ml.so.1 cannot be loaded; install the driver "
            "(inside a container: start that with the NVIDIA runtime)"
        )
    elif code == DRIVER_NOT_LOADED:
        kind = DriverNotLoadedError
        line = (
            "the NVIDIA driver is not loaded: load it (modprobe nvidia, as root) and see the "
            "kernel log if that fails"
        )
    elif code == LIB_RM_VERSION_MISMATCH:
        kind = DriverMismatchError
        line = (
            "the NVIDIA kernel module and its library are of different versions: reboot, or "
            "reload the module, after an update of the driver"
        )
    elif code == NO_PERMISSION:
        kind = NoPermissionError
        line = f"no permission to use {subject}: get access to /dev/nvidia* as this user"
    elif code == GPU_IS_LOST:
        kind = GpuLostError
        line = f"{subject} is lost (it fell off the bus): see the kernel log for Xid, then reboot"
    elif code == RESET_REQUIRED:
        kind = GpuLostError
        line = f"{subject} must be reset: nvidia-smi --gpu-reset as root, or reboot"
    else:
        kind = UnknownNvmlError
        line = f"NVML error {code}{f' ({text})' if text else ''} for {subject}: see nvidia-smi"
    return kind(f"{line}, {GPU_NONE}", code)
