"""Keras 3 on jax: the devices, threads and memory of a phase."""

import os


def start(phase):
    """Sets up jax, imports it, and returns the names of its devices.

    On the virtual accelerator XLA's own memory on the CPU stands for the GPU's. XLA reads the
    environment when the first device is asked for.
    """
    if phase.intra_threads:
        # The size of XLA's pool of threads.
        os.environ["NPROC"] = str(phase.intra_threads)
    if phase.on_gpu:
        _prepare_gpu(phase)
    else:
        # Most of a short phase would be spent on making fast code of small programs.
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 {}".format(flags).strip()
    import jax

    if not phase.on_gpu:
        # jax reads its variables when it is imported, and that may have been before.
        jax.config.update("jax_platforms", "cpu")

    try:
        devices = jax.devices()
    except RuntimeError as problem:
        _refuse(problem)
    if phase.on_gpu and devices[0].platform != "gpu":
        _refuse("its devices are {}".format(", ".join(map(str, devices))))
    return ["{} {}".format(device, device.device_kind) for device in devices]


def _prepare_gpu(phase):
    # It would take three quarters of the memory at once, and no peak could be seen from outside.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if phase.memory_ceiling:
        from . import gpu_memory

        part = gpu_memory.part(phase.memory_ceiling)
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = "{:.6f}".format(part)


def _refuse(problem):
    from .phase import refuse

    refuse("ACCELERATOR is gpu, and jax sees no GPU: {}".format(problem))
