"""How much memory a GPU has, before any framework has touched it; and less, with managed memory."""

import os
import typing

from frameworks.resources import UnavailableError

# How much of what a GPU holds a framework may take of managed memory. With much more it can hang.
MANAGED_FRACTION = 2.0
# What holds the rest of a GPU's memory; once for a process.
_held: typing.List[typing.Any] = []


def managed() -> bool:
    """Whether the framework is to take managed memory, whose pages the GPU's driver moves."""
    return os.environ.get("TF_FORCE_UNIFIED_MEMORY", "").lower() in ("1", "true")


def leave(ceiling: int) -> None:
    """Takes what is free on the first visible GPU, but for a ceiling, until the process ends.

    A framework's own limit is of managed memory, on the GPU or not: of pages it limits nothing. So
    there is no more room for them than that.

    ceiling: bytes. Raises UnavailableError where CUDA's driver does not give what it says is free.
    """
    import ctypes

    if _held:
        return
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise UnavailableError(f"there is no libcuda.so.1 for a MEMORY_CEILING of {ceiling}")
    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    failed = (
        cuda.cuInit(0)
        or cuda.cuDeviceGet(ctypes.byref(device), 0)
        or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
        or cuda.cuCtxSetCurrent(context)
        or cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    )
    if not failed and free.value > ceiling:
        size = ctypes.c_size_t(free.value - ceiling)
        failed = cuda.cuMemAlloc_v2(ctypes.byref(memory), size)
    if failed:
        raise UnavailableError(f"CUDA error {failed}: no MEMORY_CEILING of {ceiling} can be made")
    _held.append((context, memory))


def fraction(ceiling: int) -> float:
    """Which fraction of the first visible GPU's memory a ceiling is, 0 to 1.

    ceiling: bytes. Raises UnavailableError where CUDA's driver does not say how much there is.
    """
    total = _total()
    if not total:
        raise UnavailableError(f"libcuda.so.1 sees no GPU for a MEMORY_CEILING of {ceiling}")
    return min(1.0, float(ceiling) / total)


def _total() -> typing.Optional[int]:
    """Bytes of the first visible GPU; None where there is none. It makes no CUDA context."""
    import ctypes

    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, size = ctypes.c_int(), ctypes.c_size_t()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    if cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device):
        return None
    return size.value
