"""Keras 3 on jax: the devices, threads and memory of a phase."""

import importlib
import logging
import os
import sys
import types
import typing

from frameworks import gpu_memory
from frameworks.resources import Resources, UnavailableError

# How XLA compiles for a GPU.
_GPU_FLAGS = (
    # It starts each copy back to the GPU as soon as it can unless memory is short: by default where
    # 95 % of the GPU's is used, so that all are back before the first is needed and no peak falls.
    # With 1 % each copy comes just before its use.
    "--xla_gpu_memory_limit_slop_factor=1",
    # No kernel is chosen by how long it takes, and none adds in another order each time.
    "--xla_gpu_deterministic_ops=true",
)
PRECISION = "highest"
"""Of products and convolutions on a GPU: by default float32 loses half of its digits there."""


def start(resources: Resources) -> typing.List[str]:
    """Sets up jax, imports it, and returns the names of its devices.

    On the virtual accelerator XLA's own memory on the CPU stands for the GPU's. XLA reads the
    environment when the first device is asked for; its flags for GPUs are those of a phase on one,
    for what is compiled for a GPU that is not there. A flag that `XLA_FLAGS` names stays as it is.

    Raises UnavailableError where a GPU is asked for and jax sees none.
    """
    if resources.intra_threads:
        # The size of XLA's pool of threads.
        os.environ["NPROC"] = str(resources.intra_threads)
    if resources.on_gpu:
        _prepare_gpu(resources.memory_ceiling)
        _set_flags()
    else:
        # Most of a short phase would be spent on making fast code of small programs.
        _set_flags("--xla_backend_optimization_level=0")
        _leave_compiler_out()
    import jax

    if resources.on_gpu:
        jax.config.update("jax_default_matmul_precision", PRECISION)
    else:
        # jax reads its variables when it is imported, and that may have been before.
        jax.config.update("jax_platforms", "cpu")
    if resources.compilation_cache:
        # A program that calls Python, as one that swaps does here, jax compiles each time.
        jax.config.update("jax_compilation_cache_dir", resources.compilation_cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

    devices = _gpus() if resources.on_gpu else jax.devices()
    return [f"{device} {device.device_kind}" for device in devices]


def _gpus() -> typing.List[typing.Any]:
    """The devices of jax, the first of which is a GPU.

    What keeps its plug-in from one jax logs, with a traceback, and goes on without: here it is told
    as the reason.
    """
    import jax

    logger = logging.getLogger("jax._src.xla_bridge")
    told: typing.List[logging.LogRecord] = []

    def keep(record: logging.LogRecord) -> bool:
        told.append(record)
        return False

    logger.addFilter(keep)
    try:
        devices: typing.List[typing.Any] = jax.devices()
    except RuntimeError as problem:
        raise UnavailableError(f"jax sees no GPU: {problem}") from problem
    finally:
        logger.removeFilter(keep)
    if devices[0].platform == "gpu":
        for record in told:
            logger.handle(record)
        return devices
    reasons = [str(record.exc_info[1]) for record in told if record.exc_info]
    reason = (reasons[-1:] or [f"its devices are {', '.join(map(str, devices))}"])[0]
    raise UnavailableError("jax sees no GPU: " + reason)


# Names of the modules with jax's compiler for GPUs that this process has not loaded.
_left_out: typing.List[str] = []


def _leave_compiler_out() -> None:
    """Has jax start without its compiler for GPUs, where that is installed.

    jax loads it whatever platform it is asked for. It takes 100 MiB, and says on standard error
    each time that there is no GPU.
    """
    import importlib.util

    for cuda in ("cuda12", "cuda13"):
        plugin, kernels = f"jax_plugins.xla_{cuda}", f"jax_{cuda}_plugin"
        if plugin in sys.modules or not all(
            importlib.util.find_spec(name) for name in ("jax_plugins", plugin)
        ):
            continue
        nothing: typing.Any = types.ModuleType(plugin)
        nothing.initialize = lambda: None
        left_out: typing.Dict[str, typing.Any] = {plugin: nothing, kernels: None}
        for name, module in left_out.items():
            if name not in sys.modules:  # it may have been imported with jax
                sys.modules[name] = module
                _left_out.append(name)


def load_compiler() -> bool:
    """Loads jax's compiler for GPUs in a phase on the CPU; returns whether there is one."""
    names = list(_left_out)
    _left_out.clear()
    for name in names:
        del sys.modules[name]
    plugins = [name for name in names if name.startswith("jax_plugins.")]
    for name in plugins:
        importlib.import_module(name).initialize()
    return bool(plugins)


def _set_flags(*more: str) -> None:
    # The last of two of one name counts.
    own = os.environ.get("XLA_FLAGS", "").split()
    os.environ["XLA_FLAGS"] = " ".join([*_GPU_FLAGS, *more, *own])


def _prepare_gpu(memory_ceiling: int) -> None:
    # It would take three quarters of the memory at once, and no peak could be seen from outside.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if memory_ceiling and gpu_memory.managed():
        gpu_memory.leave(memory_ceiling)
    elif memory_ceiling:
        fraction = gpu_memory.fraction(memory_ceiling)
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{fraction:.6f}"
        # Memory that grows comes in ever larger regions, and a value has to fit into one of them:
        # a step that needs less than the ceiling could fail.
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true"
