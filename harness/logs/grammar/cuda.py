"""Lines of CUDA and its libraries, NCCL and NVIDIA's driver, whoever prints them."""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle
from harness.record.facts import Problem

MEMORY_NEEDLES: tuple[Needle, ...] = (b"CUDA_ERROR_OUT_OF_MEMORY",)
MEMORY = re.compile(
    rb"CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY"
    rb"|cudaErrorMemoryAllocation|hipErrorOutOfMemory|HIP out of memory"
    rb"|CUDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED"
)
# What only says that something was tried: with less memory, or without a peer, it goes on.
BACK_OFF = re.compile(
    rb"[Ff]ailed to alloc(?:ate)?\b.{0,300}CUDA_ERROR_OUT_OF_MEMORY"
    rb"|[Cc]ould not allocate pinned|[Ff]ailed to alloc(?:ate)? .{0,100}on (?:the )?host"
    rb"|[Pp]eer access|[Pp]eer-to-peer|PEER_ACCESS"
    rb"|CUDA_ERROR_DEINITIALIZED|[Dd]river shutting down"
    rb"|Unable to register \w+ factory"
    rb"|CUDA OOMs?: \d|cudaMalloc retries"
)
ERROR_NEEDLES: tuple[Needle, ...] = (
    rb"CUDA(?:_ERROR_| error| runtime error| driver error)",
    rb"CU(?:DNN|BLAS|SOLVER|SPARSE|FFT|RAND)_STATUS_|NVRTC_ERROR|cuda(?:Error[A-Z])",
    rb"Could not create cudnn handle",
    rb"cuDNN failed to initialize|cudnn\w*Exception",
    rb"device-side assert triggered",
    rb"ailed call to cu",
    rb"NVRM: Xid",
    rb"Watchdog caught collective operation timeout|nccl\w*Error|NCCL (?:error|failure)",
    rb"GPU has fallen off the bus|GPU is lost|ncorrectable ECC error",
    rb"HIP error: |taking the entire process down",
)
ERROR = re.compile(
    rb"CUDA_ERROR_(?!OUT_OF_MEMORY|DEINITIALIZED|PEER_ACCESS)[A-Z_]+"
    rb"|\b(?:CUDNN|CUBLAS|CUSOLVER|CUSPARSE|CUFFT|CURAND)_STATUS_(?!SUCCESS|ALLOC_FAILED)[A-Z_]+"
    rb"|CUDA (?:runtime |driver )?error: (?!out of memory)|HIP error: (?!out of memory)"
    rb"|cudaError(?!MemoryAllocation|_t\b|_enum\b)[A-Z]\w+"
    rb"|Could not create cudnn handle|cuDNN failed to initialize"
    rb"|device-side assert triggered"
    rb"|[Ff]ailed call to cu[A-Z]"
    rb"|NVRM: Xid \([^)\n]{1,60}\): (?!63\b|92\b|94\b)\d+"  # rows remapped, corrected errors
    rb"|taking the entire process down|Watchdog caught collective operation timeout"
    rb"|\bnccl(?:Internal|System|UnhandledCuda|Remote|InvalidArgument|InvalidUsage)Error"
    rb"|NCCL (?:error|failure)\b"
    rb"|GPU has fallen off the bus|GPU is lost|[Uu]ncorrectable ECC error"
)
_NO_GPU = re.compile(
    r"failed call to cu[A-Z]|CUDA_ERROR_NO_DEVICE|no CUDA-capable device"
    r"|could not retrieve CUDA device count|Error loading CUDA libraries",
    re.IGNORECASE,
)


def no_gpu(problem: Problem) -> bool:
    """Whether a CUDA error only says that there is no GPU: no problem where none was asked for."""
    return problem.kind == "cuda_error" and _NO_GPU.search(problem.text) is not None
