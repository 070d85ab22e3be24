"""How much memory a GPU has, before any framework has touched it."""


def part(ceiling):
    """The part of the first visible GPU's memory that a ceiling is, 0 to 1.

    ceiling: bytes. Ends the process with exit code 2 and one line where CUDA's driver does not
    say how much memory there is.
    """
    from .phase import refuse

    total = _total()
    if not total:
        refuse("MEMORY_CEILING is {}, and libcuda.so.1 knows no GPU".format(ceiling))
    return min(1.0, float(ceiling) / total)


def _total():
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
