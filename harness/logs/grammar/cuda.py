"""Lines of CUDA and its libraries, whoever prints them: the names of their status codes."""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle
from harness.record.facts import Problem

MEMORY_NEEDLES: tuple[Needle, ...] = (b"ut of memory", b"CUDA_ERROR_OUT_OF_MEMORY")
MEMORY = re.compile(rb"CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY")
# The allocator goes on with less memory.
BACK_OFF = re.compile(rb"failed to alloc(?:ate)? [^:]{0,200}: CUDA_ERROR_OUT_OF_MEMORY")
ERROR_NEEDLES: tuple[Needle, ...] = (
    re.compile(rb"CUDA(?:_ERROR_| error| runtime error)"),
    b"_STATUS_",
    b"Could not create cudnn handle",
    b"cuDNN failed to initialize",
    b"device-side assert triggered",
    b"ailed call to cu",
)
ERROR = re.compile(
    rb"CUDA_ERROR_(?!OUT_OF_MEMORY)[A-Z_]+"
    rb"|\b(?:CUDNN|CUBLAS|CUSOLVER|CUSPARSE|CUFFT|CURAND|NVRTC)_STATUS_(?!SUCCESS)[A-Z_]+"
    rb"|CUDA (?:runtime )?error: (?!out of memory)"
    rb"|Could not create cudnn handle|cuDNN failed to initialize"
    rb"|device-side assert triggered"
    rb"|[Ff]ailed call to cu[A-Z]"
)
_NO_GPU = re.compile(
    r"failed call to cu[A-Z]|CUDA_ERROR_NO_DEVICE|no CUDA-capable device"
    r"|could not retrieve CUDA device count|Error loading CUDA libraries",
    re.IGNORECASE,
)


def no_gpu(problem: Problem) -> bool:
    """Whether a CUDA error only says that there is no GPU: no problem where none was asked for."""
    return problem.kind == "cuda_error" and _NO_GPU.search(problem.text) is not None
