"""Keras 3 on torch: the devices, threads and memory of a phase."""

import os
import typing

from frameworks.resources import Resources, UnavailableError


def start(resources: Resources) -> typing.List[str]:
    """Imports torch and sets it up; returns the names of its devices.

    Keras itself places models on the GPU that torch sees. On the virtual accelerator the memory of
    torch's CPU allocator stands for the GPU's.

    Raises UnavailableError where a GPU is asked for and torch sees none.
    """
    # cuBLAS repeats its results only with a workspace of a fixed size, which it reads at its start.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if resources.intra_threads:
        torch.set_num_threads(resources.intra_threads)
    # One after the other: with two threads the peak would depend on what happens to overlap.
    torch.set_num_interop_threads(1)
    # Warned of where an operation has no such implementation, and then not asked for.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # It would also write to all memory that is not initialised.
    torch.utils.deterministic.fill_uninitialized_memory = False
    # By default a convolution of float32 loses half of its digits on a GPU.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    if not resources.on_gpu:
        return ["cpu"]
    return _use_gpu(torch, resources.memory_ceiling)


def _use_gpu(torch: typing.Any, memory_ceiling: int) -> typing.List[str]:
    if not torch.cuda.is_available():
        raise UnavailableError("torch sees no GPU")
    torch.backends.cudnn.benchmark = False
    if memory_ceiling:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, float(memory_ceiling) / total))
    return ["cpu"] + [
        f"cuda:{number} {torch.cuda.get_device_name(number)}"
        for number in range(torch.cuda.device_count())
    ]
