"""The frameworks as a phase needs them: devices, threads, seeds, one session if any."""

import contextlib
import os
import platform
import random
import typing

from common import errors, marker
from common.phase import NO_KERAS, Phase
from common.steps import Steps
from frameworks import keras_api
from frameworks.resources import UnavailableError

SEED = 20190802


class Runtime:
    """What a script works with.

    phase: `Phase`. keras: the flavor's Keras package, or None where the flavor has none.
    tf: in session mode `tensorflow.compat.v1`, with behaviour of TensorFlow 2 off; in function
        mode `tensorflow` 2 itself, eager; None where Keras 3 runs on another backend.
    steps: `Steps` that the phase has run.
    """

    def __init__(
        self, phase: Phase, tf: typing.Any, keras: typing.Any, devices: typing.List[str]
    ) -> None:
        self.phase = phase
        self.tf = tf
        self.keras = keras
        self.steps = Steps()
        self._devices = devices

    def scope(self) -> typing.ContextManager[typing.Any]:
        """Context in which TensorFlow puts what has no device on the accelerator."""
        if self.tf is None:
            return _no_scope()
        device: typing.ContextManager[typing.Any] = self.tf.device(self.phase.accelerator_device)
        return device

    @property
    def session(self) -> typing.Any:
        """The session of Keras' backend; asking for it initialises the variables, as in Keras.

        Raises AttributeError in function mode, which has none.
        """
        if self.phase.mode != "session":
            raise AttributeError(f"there is no session in {self.phase.mode} mode")
        return self.keras.backend.get_session()

    def report(self, data: str) -> None:
        """Marks the environment. data: which data set the phase uses."""
        import numpy as np

        backend = self.phase.backend
        versions = {
            backend: self.tf.version.VERSION if self.tf else __import__(backend).__version__,
            "numpy": np.__version__,
        }
        if self.keras is not None:
            import h5py

            versions["keras"] = keras_api.version(self.keras)
            versions["h5py"] = h5py.__version__
        marker.emit(
            "environment",
            versions=versions,
            devices=self._devices,
            python=platform.python_version(),
            data=data,
        )


def execute(script: typing.Callable[[Runtime], typing.Any], placed: bool = True) -> None:
    """Runs `script(runtime)` as a phase.

    placed: whether the whole script is in the accelerator's device scope. Without it, for a
        `tf.distribute` strategy that places what is its own, the script does so itself with
        `runtime.tf.device(runtime.phase.accelerator_device)`: what is left without a device may
        run on the host, and LMS swaps nothing of it.

    The marker `done` is written when the script returns. Where the accelerator that was promised
    is not there the process ends with exit code 3 and one line.
    """
    phase = Phase.from_environment()
    try:
        runtime = start(phase)
        # The whole script: Keras adds operations at many places, and one that is left without a
        # device would run on the host.
        with runtime.scope() if placed else _no_scope():
            script(runtime)
    except UnavailableError as problem:
        errors.unavailable(f"ACCELERATOR is gpu, and {problem}")
    marker.emit("done")


@contextlib.contextmanager
def _no_scope() -> typing.Iterator[None]:
    yield


def start(phase: Phase) -> Runtime:
    """Imports the flavor's frameworks and starts the phase's mode.

    Raises UnavailableError where the phase's accelerator is not there.
    """
    if not phase.on_gpu:
        # Where no GPU is asked for none may be touched: it could be another run's.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        # On CPUs oneDNN merges operations whatever control edges there are between others and
        # each of them, such as the two gradients of a convolution: an edited graph gets a cycle.
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    else:
        _repeatable()
    if phase.keras == NO_KERAS and (phase.backend, phase.mode) != ("torch", "eager"):
        errors.refuse("KERAS is none: KERAS_BACKEND has to be torch, and EXECUTION_MODE eager")
    if phase.mode == "session":
        return _start_sessions(phase)
    if phase.backend == "tensorflow":
        return _start_functions(phase)
    return _start_other_backend(phase)


def _repeatable() -> None:
    """Has the libraries of a GPU compute alike in every process, where nobody asks otherwise.

    A framework that can be told itself is told so where it is started.
    """
    # Of NVIDIA's libraries: they would round float32 to TF32, of ten bits for the fraction.
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    # Of TensorFlow: cuDNN's algorithms of convolutions and pooling.
    os.environ.setdefault("TF_CUDNN_DETERMINISTIC", "1")


def _start_functions(phase: Phase) -> Runtime:
    from frameworks import function

    tf = function.start(phase.resources)
    _seed(tf.random.set_seed)
    keras = keras_api.load(phase.keras, phase.mode)
    if phase.keras3:
        keras.utils.set_random_seed(SEED)
    return Runtime(phase, tf, keras, [device.name for device in tf.config.list_logical_devices()])


def _start_other_backend(phase: Phase) -> Runtime:
    if phase.keras == "tf.keras":
        errors.refuse(
            f"KERAS_BACKEND is {phase.backend}, and {phase.keras} runs only on TensorFlow"
        )
    if phase.backend == "torch":
        from frameworks import torch_backend

        devices = torch_backend.start(phase.resources)
    else:
        from frameworks import jax_backend

        devices = jax_backend.start(phase.resources)
    if phase.keras == NO_KERAS:
        import torch

        _seed(torch.manual_seed)
        return Runtime(phase, None, None, devices)
    keras = keras_api.load(phase.keras, phase.mode)
    keras.utils.set_random_seed(SEED)
    return Runtime(phase, None, keras, devices)


def _start_sessions(phase: Phase) -> Runtime:
    from frameworks import session

    tf = session.start()
    _seed(tf.set_random_seed)
    keras = keras_api.load(phase.keras, phase.mode)
    return Runtime(phase, tf, keras, session.open_session(tf, keras, phase.resources))


def _seed(set_seed: typing.Callable[[int], typing.Any]) -> None:
    """Fixes the random numbers of Python, numpy and TensorFlow."""
    import numpy as np

    random.seed(SEED)
    np.random.seed(SEED)
    set_seed(SEED)
