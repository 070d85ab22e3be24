"""The frameworks as a phase needs them: devices, threads, seeds, one session if any."""

import contextlib
import os
import platform
import random

from . import gpu_memory, keras_api, marker
from .phase import Phase, refuse

SEED = 20190802
# Index of the pool with one thread, on the virtual accelerator.
SERIAL_POOL = 1


class Runtime(object):
    """What a script works with.

    phase: `Phase`. keras: the flavor's Keras package, or None where the flavor has none that runs
        in the phase's mode.
    tf: in session mode `tensorflow.compat.v1`, with behaviour of TensorFlow 2 off; in function
        mode `tensorflow` 2 itself, eager; None where Keras 3 runs on another backend.
    """

    def __init__(self, phase, tf, keras, devices):
        self.phase = phase
        self.tf = tf
        self.keras = keras
        self._devices = devices

    def scope(self):
        """Context in which TensorFlow puts what has no device on the accelerator."""
        return _no_scope() if self.tf is None else self.tf.device(self.phase.accelerator_device)

    @property
    def session(self):
        """The session of Keras' backend; asking for it initialises the variables, as in Keras.

        Raises AttributeError in function mode, which has none.
        """
        if self.phase.mode != "session":
            raise AttributeError("there is no session in {} mode".format(self.phase.mode))
        return self.keras.backend.get_session()

    def report(self, data):
        """Marks the environment. data: which data set the phase uses."""
        import h5py
        import numpy as np

        backend = self.phase.backend
        versions = {
            backend: self.tf.version.VERSION if self.tf else __import__(backend).__version__,
            "keras": keras_api.version(self.keras),
            "numpy": np.__version__,
            "h5py": h5py.__version__,
        }
        marker.emit(
            "environment",
            versions=versions,
            devices=self._devices,
            python=platform.python_version(),
            data=data,
        )


def execute(script, placed=True):
    """Runs `script(runtime)` as a phase.

    placed: whether the whole script is in the accelerator's device scope. Without it, for a
        `tf.distribute` strategy that places what is its own, the script does so itself with
        `runtime.tf.device(runtime.phase.accelerator_device)`: what is left without a device may
        run on the host, and LMS swaps nothing of it.

    The marker `done` is written when the script returns.
    """
    phase = Phase.from_environment()
    runtime = start(phase)
    # The whole script: Keras adds operations at many places, and one that is left without a
    # device would run on the host.
    with runtime.scope() if placed else _no_scope():
        script(runtime)
    marker.emit("done")


@contextlib.contextmanager
def _no_scope():
    yield


def start(phase):
    """Imports the flavor's frameworks and starts the phase's mode; returns a `Runtime`."""
    if not phase.on_gpu:
        # Where no GPU is asked for none may be touched: it could be another run's.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        # On CPUs oneDNN merges operations whatever control edges there are between others and
        # each of them, such as the two gradients of a convolution: an edited graph gets a cycle.
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    if phase.mode == "session":
        return _start_sessions(phase)
    if phase.backend == "tensorflow":
        return _start_functions(phase)
    return _start_keras3(phase)


def _start_functions(phase):
    from . import function_mode

    tf = function_mode.start(phase)
    _seed(tf.random.set_seed)
    keras = keras_api.load(phase.keras, phase.mode)
    if phase.keras3:
        keras.utils.set_random_seed(SEED)
    return Runtime(phase, tf, keras, [device.name for device in tf.config.list_logical_devices()])


def _start_keras3(phase):
    if phase.keras != "keras":
        refuse(
            "KERAS_BACKEND is {}, and {} runs on TensorFlow alone".format(
                phase.backend, phase.keras
            )
        )
    if phase.backend == "torch":
        from . import torch_mode as backend
    else:
        from . import jax_mode as backend

    devices = backend.start(phase)
    keras = keras_api.load(phase.keras, phase.mode)
    keras.utils.set_random_seed(SEED)
    return Runtime(phase, None, keras, devices)


def _start_sessions(phase):
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    # keras-team Keras 2.2 would make reference variables, and updates them while other operations
    # of the same step still read them: a step's result would depend on the order of execution.
    tf.enable_resource_variables()
    # TFLMS says what it did at this level.
    tf.logging.set_verbosity(tf.logging.INFO)
    _seed(tf.set_random_seed)
    keras = keras_api.load(phase.keras, phase.mode)
    return Runtime(phase, tf, keras, _open_session(tf, keras, phase))


def session_config(tf, phase):
    """`ConfigProto` of a phase."""
    config = tf.ConfigProto(
        # Not every operation has a kernel for every device.
        allow_soft_placement=True,
        intra_op_parallelism_threads=phase.intra_threads,
        inter_op_parallelism_threads=phase.inter_threads,
    )
    if phase.on_gpu:
        # Without it TensorFlow takes all memory at once, and no peak could be seen from outside.
        config.gpu_options.allow_growth = True
        if phase.memory_ceiling:
            part = gpu_memory.part(phase.memory_ceiling)
            config.gpu_options.per_process_gpu_memory_fraction = part
    else:
        config.device_count["CPU"] = 1 + phase.replicas
        # Two pools, for RunOptions.inter_op_thread_pool to choose from: the usual one, and
        # one thread that executes operations one after the other, as the stream of a GPU does.
        config.session_inter_op_thread_pool.add()
        config.session_inter_op_thread_pool.add(num_threads=1)
    return config


def _open_session(tf, keras, phase):
    """Gives Keras' backend a session; returns the names of its devices.

    The session must not be a local of `start`: importing TensorFlow there keeps that frame alive,
    and a session that is to be replaced has to die.
    """
    session = tf.Session(config=session_config(tf, phase))
    keras.backend.set_session(session)
    return [device.name for device in session.list_devices()]


def _seed(set_seed):
    """Fixes the random numbers of Python, numpy and TensorFlow."""
    import numpy as np

    random.seed(SEED)
    np.random.seed(SEED)
    set_seed(SEED)
