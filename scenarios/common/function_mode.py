"""TensorFlow 2, eager, with the devices and threads of a phase."""

import os

from . import profile


def start(phase):
    """Imports TensorFlow 2 and sets up its devices; returns the module.

    On the virtual accelerator the host is `CPU:0` and each replica one more logical CPU. On a GPU
    memory grows as it is needed, except where there are fewer GPUs than replicas: then the
    first one is split into logical GPUs, whose memory TensorFlow fixes when they are made.
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
    if len(gpus) >= phase.replicas:
        tf.config.set_visible_devices(gpus[: phase.replicas], "GPU")
        for gpu in gpus[: phase.replicas]:
            tf.config.experimental.set_memory_growth(gpu, True)
        return
    tf.config.set_visible_devices(gpus[:1], "GPU")
    logical = tf.config.LogicalDeviceConfiguration(memory_limit=_LOGICAL_GPU_MIB)
    tf.config.set_logical_device_configuration(gpus[0], [logical] * phase.replicas)


# Logical GPUs need a limit each. Small models alone run on them.
_LOGICAL_GPU_MIB = 2048
