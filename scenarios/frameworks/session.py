"""TensorFlow's graphs and sessions, with the devices and threads of a phase.

All versions have them: in TensorFlow 2 as `tensorflow.compat.v1`, its own behaviour turned off.
"""

import typing

from frameworks import gpu_memory
from frameworks.resources import Resources, UnavailableError


def start() -> typing.Any:
    """Imports TensorFlow and turns version 2's behaviour off; returns `tensorflow.compat.v1`."""
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    # keras-team Keras 2.2 would make reference variables, and updates them while other operations
    # of the same step still read them: a step's result would depend on the order of execution.
    tf.enable_resource_variables()
    # TFLMS says what it did at this level.
    tf.logging.set_verbosity(tf.logging.INFO)
    return tf


def open_session(tf: typing.Any, keras: typing.Any, resources: Resources) -> typing.List[str]:
    """Gives Keras' backend a session; returns the names of its devices.

    Raises UnavailableError where a GPU is asked for and the session has none: TensorFlow would run
    everything on the CPU and say nothing.

    The session must not be a local of a frame that imports TensorFlow: the import keeps that frame
    alive, and a session that is to be replaced has to die.
    """
    session = tf.Session(config=config(tf, resources))
    keras.backend.set_session(session)
    devices = session.list_devices()
    if resources.on_gpu and not any(device.device_type == "GPU" for device in devices):
        raise UnavailableError("TensorFlow sees no GPU")
    return [device.name for device in devices]


def config(tf: typing.Any, resources: Resources) -> typing.Any:
    """The `ConfigProto` of every session of a phase.

    Raises UnavailableError where a GPU's memory is to be limited and there is none.
    """
    made = tf.ConfigProto(
        # Not every operation has a kernel for every device.
        allow_soft_placement=True,
        intra_op_parallelism_threads=resources.intra_threads,
        # The virtual accelerator: one after the other, as on the stream of a GPU. With two threads
        # the peak would depend on which operations happen to overlap, and the Adam of Keras before
        # 2.4 would read its count of steps before or after it is raised, so no training repeats.
        inter_op_parallelism_threads=resources.inter_threads if resources.on_gpu else 1,
    )
    if resources.on_gpu:
        # Without it TensorFlow takes all memory at once, and no peak could be seen from outside.
        made.gpu_options.allow_growth = True
        if gpu_memory.managed():
            if resources.memory_ceiling:
                gpu_memory.leave(resources.memory_ceiling)
            fraction = gpu_memory.MANAGED_FRACTION
            made.gpu_options.per_process_gpu_memory_fraction = fraction
        elif resources.memory_ceiling:
            fraction = gpu_memory.fraction(resources.memory_ceiling)
            made.gpu_options.per_process_gpu_memory_fraction = fraction
    else:
        made.device_count["CPU"] = 1 + resources.replicas
    return made
