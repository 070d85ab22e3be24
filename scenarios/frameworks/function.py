"""TensorFlow 2, eager, with the devices and threads of a phase."""

import os
import typing

from frameworks import gpu_memory
from frameworks.resources import Resources, UnavailableError

# The plain CPU allocator records nothing for the profiler. This lets TensorFlow use the one of its
# GPUs for CPUs; it is read when the devices are made.
ALLOCATOR_VARIABLE = "TF_CPU_ALLOCATOR_USE_BFC"
# Logical GPUs need a limit each. Only small models run on them.
_LOGICAL_GPU_MIB = 2048


def start(resources: Resources) -> typing.Any:
    """Imports TensorFlow 2 and sets up its devices; returns the module.

    On the virtual accelerator the host is `CPU:0` and each replica one more logical CPU. On a GPU
    memory grows as it is needed, except where there are fewer GPUs than replicas: then the
    first one is split into logical GPUs, whose memory TensorFlow fixes when they are made. With a
    ceiling it is one logical GPU of that size.

    Raises UnavailableError where a GPU is asked for and TensorFlow sees none.
    """
    if not resources.on_gpu:
        os.environ[ALLOCATOR_VARIABLE] = "1"
    import tensorflow as tf

    # What LMS did is said at this level.
    tf.get_logger().setLevel("INFO")
    tf.config.set_soft_device_placement(True)
    if resources.on_gpu:
        # By default products and convolutions of float32 lose half of their digits.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        _use_gpus(tf, resources)
    else:
        _use_cpus(tf, resources)
    return tf


def _use_cpus(tf: typing.Any, resources: Resources) -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    logical = [tf.config.LogicalDeviceConfiguration() for _ in range(1 + resources.replicas)]
    tf.config.set_logical_device_configuration(cpu, logical)
    tf.config.threading.set_intra_op_parallelism_threads(resources.intra_threads)
    # One after the other, as on the stream of a GPU: with two threads the peak would depend on
    # which operations happen to overlap.
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _use_gpus(tf: typing.Any, resources: Resources) -> None:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise UnavailableError("TensorFlow sees no GPU")
    tf.config.threading.set_intra_op_parallelism_threads(resources.intra_threads)
    tf.config.threading.set_inter_op_parallelism_threads(resources.inter_threads)
    if resources.memory_ceiling and gpu_memory.managed():
        # Memory grows as it is needed, up to what the whole GPU holds: there it is in pages.
        gpu_memory.leave(resources.memory_ceiling)
    elif resources.memory_ceiling and resources.replicas == 1:
        # A logical GPU of that size. It would take all of it at once.
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        _split(tf, gpus[0], 1, resources.memory_ceiling // 2**20)
        return
    if len(gpus) >= resources.replicas:
        tf.config.set_visible_devices(gpus[: resources.replicas], "GPU")
        for gpu in gpus[: resources.replicas]:
            tf.config.experimental.set_memory_growth(gpu, True)
        return
    _split(tf, gpus[0], resources.replicas, _LOGICAL_GPU_MIB)


def _split(tf: typing.Any, gpu: typing.Any, number: int, mib: int) -> None:
    """Makes logical GPUs of one, each with a limit of its own."""
    tf.config.set_visible_devices([gpu], "GPU")
    logical = tf.config.LogicalDeviceConfiguration(memory_limit=mib)
    tf.config.set_logical_device_configuration(gpu, [logical] * number)
