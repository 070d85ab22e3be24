"""The phase that a script is: the contract's environment variables, read and validated."""

import os
import sys
import typing

PROVIDERS = ("builtin", "tflms", "off")
ACCELERATORS = ("gpu", "virtual")
KERAS = ("tf.keras", "keras")
MODES = ("session", "function", "eager")
BACKENDS = ("tensorflow", "torch", "jax")

# Maximum swapping: with less, a frozen graph can go unnoticed.
MAXIMUM_SWAPPING = (
    '{"swapout_threshold": 1, "swapin_groupby": 0, "swapin_ahead": 1, "sync_mode": 3}'
)


def refuse(reason):
    """Ends the process with exit code 2 and one line that says what is wrong with its input."""
    sys.stdout.flush()
    sys.stderr.write("error: {}\n".format(" ".join(str(reason).split())))
    sys.stderr.flush()
    raise SystemExit(2)


class Phase(
    typing.NamedTuple(
        "Phase",
        [
            ("provider", str),
            ("parameters", str),
            ("provider_path", typing.Optional[str]),
            ("accelerator", str),
            ("keras", str),
            ("mode", str),
            ("backend", str),
            ("replicas", int),
            ("pressure", int),
            ("memory_ceiling", int),
            ("data_directory", typing.Optional[str]),
            ("input_directory", typing.Optional[str]),
            ("output_directory", str),
            ("intra_threads", int),
            ("inter_threads", int),
            ("edit_in_place", bool),
            ("corrupt", bool),
            ("pretend", bool),
            ("evidence", bool),
        ],
    )
):
    """What a script was given.

    parameters: LMS parameters, the text of a JSON object.
    mode: how models run: `'session'` (graphs), `'function'` (traced or compiled functions) or
        `'eager'` (one operation after the other).
    backend: what Keras computes with: `'tensorflow'`, or with Keras 3 `'torch'` or `'jax'`.
    replicas: accelerators that the phase uses at once, at least 1.
    pressure: factor on the batch size, at least 1: how much there is to hold in memory.
    memory_ceiling: bytes of a GPU's memory that the framework may take; 0 for no limit.
    intra_threads, inter_threads: CPU threads for the framework; 0 leaves the number to it.
    edit_in_place: LMS_EDIT_IN_PLACE=1, for canaries: edit a graph that a session has run without
        moving to a fresh session.
    corrupt: LMS_CORRUPT=1, for canaries: swap back wrong values.
    pretend: LMS_PRETEND=1, for canaries: say what would be swapped, and swap nothing.
    evidence: False with LMS_EVIDENCE=0, for benchmarks: the phase does its work and proves nothing.
    """

    __slots__ = ()

    @classmethod
    def from_environment(cls, environment=None):
        """Reads the variables; with a wrong one the process ends with exit code 2 and one line."""
        read = _Reader(os.environ if environment is None else environment)
        return cls(
            provider=read.choice("LMS_PROVIDER", PROVIDERS),
            parameters=read.text("LMS_PARAMS") or MAXIMUM_SWAPPING,
            provider_path=read.directory("LMS_PATH"),
            accelerator=read.choice("ACCELERATOR", ACCELERATORS),
            keras=read.choice("KERAS", KERAS),
            mode=read.choice("EXECUTION_MODE", MODES),
            backend=read.choice("KERAS_BACKEND", BACKENDS, unset="tensorflow"),
            replicas=read.count("REPLICAS") or 1,
            pressure=read.count("PRESSURE") or 1,
            memory_ceiling=read.count("MEMORY_CEILING"),
            data_directory=read.text("DATA_DIR"),
            input_directory=read.directory("INPUT_DIR"),
            output_directory=read.directory("OUTPUT_DIR", required=True),
            intra_threads=read.count("TF_NUM_INTRAOP_THREADS"),
            inter_threads=read.count("TF_NUM_INTEROP_THREADS"),
            edit_in_place=read.switch("LMS_EDIT_IN_PLACE"),
            corrupt=read.switch("LMS_CORRUPT"),
            pretend=read.switch("LMS_PRETEND"),
            evidence=read.switch("LMS_EVIDENCE", unset=True),
        )

    @property
    def keras3(self):
        """Whether the Keras is Keras 3, which runs on one of several backends."""
        return self.keras == "keras" and self.mode != "session"

    @property
    def on_gpu(self):
        """Whether the accelerator is a GPU, and not a logical CPU device in its stead."""
        return self.accelerator == "gpu"

    @property
    def accelerator_device(self):
        """Device of the model, as TensorFlow writes it."""
        return "/device:GPU:0" if self.on_gpu else "/device:CPU:1"

    @property
    def accelerator_devices(self):
        """Devices of all replicas, in order; the first is `accelerator_device`."""
        if self.on_gpu:
            return tuple("/device:GPU:{}".format(number) for number in range(self.replicas))
        return tuple("/device:CPU:{}".format(number + 1) for number in range(self.replicas))

    @property
    def host_device(self):
        """Device of the host memory that tensors are swapped to."""
        return "/device:CPU:0"

    def input(self, *names):
        """Path of an artifact of the earlier phase."""
        if self.input_directory is None:
            refuse("INPUT_DIR is not set, and this script reads what an earlier phase saved")
        return os.path.join(self.input_directory, *names)

    def output(self, *names):
        """Path for an artifact of this phase; the directory that it is in is there."""
        path = os.path.join(self.output_directory, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path


class _Reader(object):
    def __init__(self, environment):
        self._environment = environment

    def text(self, name):
        return self._environment.get(name, "").strip() or None

    def choice(self, name, known, unset=None):
        value = self.text(name) or unset
        if value not in known:
            problem = "is not set" if value is None else "is {!r}".format(value)
            refuse("{} {}; it must be one of {}".format(name, problem, ", ".join(known)))
        return value

    def directory(self, name, required=False):
        value = self.text(name)
        if value is None:
            if required:
                refuse("{} is not set; it must name a directory".format(name))
            return None
        if not os.path.isdir(value):
            refuse("{} is {!r}, which is no directory".format(name, value))
        return value

    def count(self, name):
        value = self.text(name)
        if value is None:
            return 0
        if not value.isdigit():
            refuse("{} is {!r}; it must be a whole number".format(name, value))
        return int(value)

    def switch(self, name, unset=False):
        value = self.text(name)
        if value not in (None, "0", "1"):
            refuse("{} is {!r}; it must be 0 or 1".format(name, value))
        return unset if value is None else value == "1"
