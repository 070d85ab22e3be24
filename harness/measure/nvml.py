"""NVML: the only module that knows the quirks of the library and of its Python binding.

NVML is reached through `pynvml`, the module of the package `nvidia-ml-py`. Nothing is loaded at
import time, and no setting of a device is ever changed. What is handed out, and what can go wrong,
is in `measure.gpu`: `None` is "not supported", sizes are bytes, errors are `NvmlError`.

NVML numbers GPUs in PCI bus order, which is not always CUDA's, so a GPU is handed on by UUID only.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from functools import cache
from types import TracebackType
from typing import Any

from harness.measure.gpu import (
    GPU_IS_LOST,
    GPU_NONE,
    INSUFFICIENT_SIZE,
    INVALID_ARGUMENT,
    NOT_FOUND,
    RESET_REQUIRED,
    Gpu,
    Memory,
    MigEnabledError,
    NoPermissionError,
    NoSuchGpuError,
    NotSupportedError,
    NvmlError,
    UnknownNvmlError,
    error_for,
)


class Nvml:
    """The NVML library, usable inside a `with` block.

    Entering takes a reference (`nvmlInit`) and leaving gives it back (`nvmlShutdown`); NVML counts
    them, so that blocks may nest and may be used by several threads. Devices that were opened in a
    block must not be used after it.
    """

    def __enter__(self) -> Nvml:
        _call("NVML", "nvmlInit")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A lost GPU or an unloaded driver can fail here, when there is nothing left to be done.
        try:
            _call("NVML", "nvmlShutdown")
        except NvmlError:
            return

    def list_gpus(self) -> list[Gpu]:
        """Every GPU that can be used, in NVML's order; MIG slices are not listed.

        A GPU that is lost or forbidden is left out.

        Raises:
            NvmlError: there are GPUs and none can be used; the error is that of the first.
        """
        gpus, problems = self.scan()
        if problems and not gpus:
            raise next(iter(problems.values()))
        return gpus

    def find_gpu(self, selector: str) -> Gpu:
        """The GPU that `selector` names.

        Args:
            selector: an index ("0"), a UUID ("GPU-...", or "MIG-..." for a slice), or the start of
                a UUID that only one has.

        Raises:
            NoSuchGpuError: there is none, or there are several; the text names what exists.
            MigEnabledError: it can only be used by its slices, which the text names.
            GpuLostError, NoPermissionError: it exists and cannot be used.
        """
        gpus, problems = self.scan()
        if re.fullmatch(r"[0-9]+", selector):
            index = int(selector)
            if index in problems:
                raise problems[index]
            found = [gpu for gpu in gpus if gpu.index == index]
        elif re.match(r"GPU-", selector, re.IGNORECASE):
            found = _with_prefix(gpus, selector)
        elif re.match(r"MIG-", selector, re.IGNORECASE):
            slices = [slice_ for gpu in gpus if gpu.mig_enabled for slice_ in self.slices(gpu)]
            found = _with_prefix(slices, selector)
            gpus = [*gpus, *slices]
        else:
            raise NoSuchGpuError(
                f"'{selector}' is not a GPU: give an index such as 0, or a UUID such as "
                f"GPU-... or MIG-...; {_inventory(gpus)}"
            )
        if not found:
            raise NoSuchGpuError(f"there is no GPU '{selector}'; {_inventory(gpus)}")
        if len(found) > 1:
            raise NoSuchGpuError(
                f"'{selector}' is the start of {len(found)} UUIDs, give more of it; "
                f"{_inventory(found)}"
            )
        gpu = found[0]
        if gpu.mig_enabled and gpu.parent_uuid is None:
            names = ", ".join(slice_.uuid for slice_ in self.slices(gpu))
            raise MigEnabledError(
                f"GPU {gpu.index} is split by MIG and cannot be used as a whole: "
                + (f"choose one of {names}" if names else "it has no slice, create one")
                + f", {GPU_NONE}"
            )
        return gpu

    def open(self, uuid: str) -> NvmlDevice:
        """The device with a full UUID, of a GPU or of a MIG slice.

        Raises:
            NoSuchGpuError, GpuLostError, NoPermissionError: as for `find_gpu`.
        """
        driver = _optional("NVML", "nvmlSystemGetDriverVersion")
        return NvmlDevice(uuid, _handle_by_uuid(uuid), driver)

    def scan(self) -> tuple[list[Gpu], dict[int, NvmlError]]:
        """All GPUs, and by index why one cannot be used."""
        gpus: list[Gpu] = []
        problems: dict[int, NvmlError] = {}
        for index in range(int(_call("NVML", "nvmlDeviceGetCount"))):
            try:
                handle = _call(f"GPU {index}", "nvmlDeviceGetHandleByIndex", index)
                gpus.append(_describe(handle, index))
            except NvmlError as error:
                problems[index] = error
        return gpus, problems

    def slices(self, gpu: Gpu) -> list[Gpu]:
        """The MIG slices of a GPU."""
        parent = _handle_by_uuid(gpu.uuid)
        slices = []
        for number in range(_optional(gpu.uuid, "nvmlDeviceGetMaxMigDeviceCount", parent) or 0):
            try:
                handle = _call(gpu.uuid, "nvmlDeviceGetMigDeviceHandleByIndex", parent, number)
            except NvmlError as error:
                # Slices do not fill their numbers without gaps.
                if error.code in (NOT_FOUND, INVALID_ARGUMENT):
                    continue
                raise
            slices.append(_describe(handle, gpu.index, parent=gpu))
        return slices


class NvmlDevice:
    """One GPU or MIG slice, by its UUID. See `Device` for what its methods return."""

    def __init__(self, uuid: str, handle: Any, driver_version: str | None) -> None:
        self.uuid = uuid
        self._handle = handle
        self._is_slice = uuid.upper().startswith("MIG-")
        self._memory_version: int | None = None
        self._process_calls = process_calls(driver_version)
        self._has_counters: bool | None = None
        self._has_throughput: bool | None = None

    def memory(self) -> Memory | None:
        """Memory in use now.

        The first call settles on version 2 of NVML's call, or on version 1 where the driver has no
        other; later calls never change over, because the two count differently.
        """
        if self._memory_version != 1:
            try:
                raw = self._call("nvmlDeviceGetMemoryInfo", version=_binding().nvmlMemory_v2)
            except NotSupportedError:
                if self._memory_version == 2:
                    return None
                self._memory_version = 1
            else:
                self._memory_version = 2
                return Memory(raw.used, raw.free, raw.total, raw.reserved, 2)
        try:
            raw = self._call("nvmlDeviceGetMemoryInfo")
        except NotSupportedError:
            return None
        return Memory(raw.used, raw.free, raw.total, None, 1)

    def process_memory(self) -> dict[int, int | None] | None:
        """Bytes by pid of every process with a compute context; graphics are not listed.

        The pids are of the host's pid namespace: called inside a container, NVML's answer is not
        to be relied on. A size that NVML cannot give is None. None for all when the driver
        lacks the list, and when it is forbidden (a GPU split by MIG, for other users than root).
        Managed memory that has been moved to the host is not counted.
        """
        retries = 3
        while self._process_calls:
            try:
                entries = self._call(self._process_calls[0])
            except NotSupportedError:
                self._process_calls = self._process_calls[1:]
            except NoPermissionError:
                self._process_calls = ()
            except UnknownNvmlError as error:
                # Size and list are two calls: processes came up in between.
                if error.code != INSUFFICIENT_SIZE or retries == 0:
                    raise
                retries -= 1
            else:
                return _by_pid([(entry.pid, entry.usedGpuMemory) for entry in entries])
        return None

    def pcie_counters(self) -> tuple[int, int, int] | None:
        """Bytes sent and received (TX, RX) as two running counters, and their width in bits.

        The counters wrap, at the width they are given in or earlier, and have no defined start:
        only differences mean something. They count for the whole physical GPU, whoever used it,
        so that a MIG slice has none. Traffic over NVLink-C2C (Grace) does not cross PCIe. Takes
        well under a millisecond.
        """
        if self._has_counters is False or self._is_slice:
            return None
        nvml = _binding()
        fields = [nvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, nvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES]
        try:
            values = self._call("nvmlDeviceGetFieldValues", fields)
        except (NotSupportedError, NoPermissionError):
            self._has_counters = False
            return None
        readings = []
        for value in values:
            # Each value has its own return code: the call succeeds with none of them known.
            if value.nvmlReturn in (GPU_IS_LOST, RESET_REQUIRED):
                raise error_for(value.nvmlReturn, self.uuid)
            readings.append(_unsigned(value) if value.nvmlReturn == 0 else None)
        transmitted, received = readings
        if transmitted is None or received is None:
            # A GPU that once had the counters keeps them; it may miss a reading.
            self._has_counters = self._has_counters or False
            return None
        self._has_counters = True
        return transmitted[0], received[0], min(transmitted[1], received[1])

    def pcie_throughput(self) -> tuple[int, int] | None:
        """KiB/s sent and received (TX, RX), each over the last 20 ms: one blocks for that long.

        For GPUs and drivers with no counters. Like these it counts for the physical GPU.
        """
        if self._has_throughput is False or self._is_slice:
            return None
        nvml = _binding()
        try:
            sent = self._call("nvmlDeviceGetPcieThroughput", nvml.NVML_PCIE_UTIL_TX_BYTES)
            received = self._call("nvmlDeviceGetPcieThroughput", nvml.NVML_PCIE_UTIL_RX_BYTES)
        except (NotSupportedError, NoPermissionError):
            self._has_throughput = self._has_throughput or False
            return None
        self._has_throughput = True
        return int(sent), int(received)

    def _call(self, function: str, *arguments: Any, **options: Any) -> Any:
        return _call(self.uuid, function, self._handle, *arguments, **options)


def process_calls(driver_version: str | None) -> tuple[str, ...]:
    """The binding's functions that list processes, the best first.

    Drivers 535.43 to 535.86 fill version 3 of the list with a longer structure than the binding
    reads (gpustat issue 161), and drivers before 510 have only version 2.
    """
    third, second = (f"nvmlDeviceGetComputeRunningProcesses_v{version}" for version in (3, 2))
    match = re.match(r"(\d+)\.(\d+)", driver_version or "")
    if match and (535, 43) <= (int(match[1]), int(match[2])) <= (535, 86):
        return (second,)
    return third, second


@cache
def _binding() -> Any:
    """The module `pynvml`; untyped, so that `Any` ends in this module."""
    return importlib.import_module("pynvml")


def _call(subject: str, function: str, *arguments: Any, **options: Any) -> Any:
    """Calls the binding, with its errors translated."""
    nvml = _binding()
    try:
        return getattr(nvml, function)(*arguments, **options)
    except nvml.NVMLError as error:
        raise error_for(error.value, subject, str(error)) from error


def _optional(subject: str, function: str, *arguments: Any) -> Any:
    """As `_call`; None for what is not supported or forbidden."""
    try:
        return _call(subject, function, *arguments)
    except (NotSupportedError, NoPermissionError):
        return None


def _handle_by_uuid(uuid: str) -> Any:
    try:
        return _call(uuid, "nvmlDeviceGetHandleByUUID", uuid)
    except UnknownNvmlError as error:
        if error.code in (NOT_FOUND, INVALID_ARGUMENT):
            raise NoSuchGpuError(f"there is no GPU '{uuid}' (any more), {GPU_NONE}") from error
        raise


def _describe(handle: Any, index: int, parent: Gpu | None = None) -> Gpu:
    """Reads what is fixed about a GPU, or about a slice of `parent`."""
    subject = f"GPU {index}"
    uuid = str(_call(subject, "nvmlDeviceGetUUID", handle))
    driver = _optional("NVML", "nvmlSystemGetDriverVersion")
    cuda = _optional("NVML", "nvmlSystemGetCudaDriverVersion")
    capability = _optional(subject, "nvmlDeviceGetCudaComputeCapability", handle)
    mode = [1] if parent else _optional(subject, "nvmlDeviceGetMigMode", handle)
    memory = NvmlDevice(uuid, handle, driver).memory()
    return Gpu(
        index=index,
        uuid=uuid,
        name=str(_optional(subject, "nvmlDeviceGetName", handle) or (parent and parent.name) or ""),
        total_bytes=memory.total if memory else None,
        driver_version=driver,
        cuda_driver_version=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None,
        compute_capability=(
            (capability[0], capability[1])
            if capability
            else (parent.compute_capability if parent else None)
        ),
        mig_enabled=bool(mode[0]) if mode else None,  # mode: [current, pending]
        parent_uuid=parent.uuid if parent else None,
    )


def _with_prefix(gpus: list[Gpu], selector: str) -> list[Gpu]:
    """The GPU with this UUID, else those whose UUID starts so."""
    wanted = selector.lower()
    exact = [gpu for gpu in gpus if gpu.uuid.lower() == wanted]
    return exact or [gpu for gpu in gpus if gpu.uuid.lower().startswith(wanted)]


def _inventory(gpus: list[Gpu]) -> str:
    """What exists, in a few words."""
    if not gpus:
        return "this machine has none that can be used: use GPU=none"
    names = ", ".join(f"{gpu.index}: {gpu.name} ({gpu.uuid})" for gpu in gpus[:16])
    return f"this machine has {names}; {GPU_NONE}"


def _by_pid(entries: list[tuple[int, int | None]]) -> dict[int, int | None]:
    """Sums up by pid: a process with contexts in two MIG slices is listed twice."""
    sizes: dict[int, int | None] = {}
    for pid, size in entries:
        known = sizes.get(pid, 0)
        sizes[pid] = None if size is None or known is None else known + size
    return sizes


def _unsigned(value: Any) -> tuple[int, int] | None:
    """A field value and its width in bits; None for a type that is no counter's."""
    nvml = _binding()
    if value.valueType == nvml.NVML_VALUE_TYPE_UNSIGNED_INT:
        return value.value.uiVal, 32
    if value.valueType == nvml.NVML_VALUE_TYPE_UNSIGNED_LONG:
        return value.value.ulVal, 8 * ctypes.sizeof(ctypes.c_ulong)
    if value.valueType == nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG:
        return value.value.ullVal, 64
    if value.valueType == nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG and value.value.sllVal >= 0:
        return value.value.sllVal, 64
    return None
