"""TensorFlow 2, eager, with the devices and threads of a phase."""

import os

from . import profile


def start(phase):
    """Imports TensorFlow 2 and sets up its devices; returns the module.

    On the virtual accelerator the host is `CPU:0` and each replica one more logical CPU. On a GPU
    memory grows as it is needed, except where there are fewer GPUs than replicas: then the
    first one is split into logical GPUs, whose memory TensorFlow fixes when they are made. With a
    ceiling it is one logical GPU of that size.
    """
    if not phase.on_gpu:
        os.environ[profile.ALLOCATOR_VARIABLE] = "1"
    import tensorflow as tf

    # What LMS did is said at this level.
    tf.get_logger().setLevel("INFO")
    tf.config.set_soft_device_placement(True)
    if phase.on_gpu:
        _use_gpus(tf, phase)
    else:
        _use_cpus(tf, phase)
    return tf


def _use_cpus(tf, phase):
    (cpu,) = tf.config.list_physical_devices("CPU")
    logical = [tf.config.LogicalDeviceConfiguration() for _ in range(1 + phase.replicas)]
    tf.config.set_logical_device_configuration(cpu, logical)
    tf.config.threading.set_intra_op_parallelism_threads(phase.intra_threads)
    # One after the other, as on the stream of a GPU: with two threads the peak would depend on
    # which operations happen to overlap.
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _use_gpus(tf, phase):
    from .phase import refuse

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        refuse("ACCELERATOR is gpu, and TensorFlow sees no GPU")
    tf.config.threading.set_intra_op_parallelism_threads(phase.intra_threads)
    tf.config.threading.set_inter_op_parallelism_threads(phase.inter_threads)
    if phase.memory_ceiling and phase.replicas == 1:
        # A logical GPU of that size. It would take all of it at once.
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        _split(tf, gpus[0], 1, phase.memory_ceiling // 2**20)
        return
    if len(gpus) >= phase.replicas:
        tf.config.set_visible_devices(gpus[: phase.replicas], "GPU")
        for gpu in gpus[: phase.replicas]:
            tf.config.experimental.set_memory_growth(gpu, True)
        return
    _split(tf, gpus[0], phase.replicas, _LOGICAL_GPU_MIB)


def _split(tf, gpu, number, mib):
    """Makes logical GPUs of one, each with a limit of its own."""
    tf.config.set_visible_devices([gpu], "GPU")
    logical = tf.config.LogicalDeviceConfiguration(memory_limit=mib)
    tf.config.set_logical_device_configuration(gpu, [logical] * number)


# Logical GPUs need a limit each. Small models alone run on them.
_LOGICAL_GPU_MIB = 2048
