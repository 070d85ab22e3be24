"""How much memory a GPU has, before any framework has touched it."""

import typing

from frameworks.resources import UnavailableError


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
