"""The phase that a script is: the contract's environment variables, read and validated."""

import os
import typing

from common.errors import refuse
from frameworks.resources import Resources

ACCELERATORS = ("gpu", "virtual")
NO_KERAS = "none"
KERAS = ("tf.keras", "keras", NO_KERAS)
MODES = ("session", "function", "eager")
BACKENDS = ("tensorflow", "torch", "jax")

_REFERENCE = "LMS_REFERENCE"

# Maximum swapping: with less, a frozen graph can go unnoticed.
MAXIMUM_SWAPPING = (
    '{"swapout_threshold": 1, "swapin_groupby": 0, "swapin_ahead": 1, "sync_mode": 3}'
)


class Phase(typing.NamedTuple):
    """What a script works with: the contract's variables.

    provider: a name, or `path/to/file.py:Class`; see `providers.registry`.
    parameters: LMS parameters, the text of a JSON object.
    mode: how models run: `'session'` (graphs), `'function'` (traced or compiled functions) or
        `'eager'` (one operation after the other).
    keras: which Keras the flavor is about, or `'none'`: models are the backend's own.
    backend: what Keras computes with: `'tensorflow'`, or with Keras 3 `'torch'` or `'jax'`.
    replicas: accelerators that the phase uses at once, at least 1.
    batch_scale: factor on the batch size, at least 1: how much there is to hold in memory.
    memory_ceiling: bytes of a GPU's memory that the framework may take; 0 for no limit.
    intra_threads, inter_threads: CPU threads for the framework; 0 leaves the number to it.
    compilation_cache: a directory in which frameworks may keep what they compile, or None.
    compile_for_gpu: COMPILE_FOR_GPU: without a GPU, a step is compiled for one as well, where its
        compiler is there: with a batch that many times as large. 0 for no.
    edit_in_place: LMS_EDIT_IN_PLACE=1, for canaries: edit a graph that a session has run without
        moving to a fresh session.
    fault: LMS_FAULT, for canaries: what our own provider does wrong; see `providers.fault`.
    reference: LMS_REFERENCE=1: the phase loads nothing, its model is as code makes it; see `input`.
    measure: False with LMS_MEASURE=0, for benchmarks: the phase does its work and measures nothing.
    """

    provider: str
    parameters: str
    provider_path: typing.Optional[str]
    accelerator: str
    keras: str
    mode: str
    backend: str
    replicas: int
    batch_scale: int
    memory_ceiling: int
    data_directory: typing.Optional[str]
    input_directory: typing.Optional[str]
    output_directory: str
    intra_threads: int
    inter_threads: int
    compilation_cache: typing.Optional[str]
    compile_for_gpu: int
    edit_in_place: bool
    fault: typing.Optional[str]
    reference: bool
    measure: bool

    @classmethod
    def from_environment(
        cls, environment: typing.Optional[typing.Mapping[str, str]] = None
    ) -> "Phase":
        """Reads the variables; with a wrong one the process ends with exit code 2 and one line."""
        read = _Reader(os.environ if environment is None else environment)
        return cls(
            provider=read.required("LMS_PROVIDER"),
            parameters=read.text("LMS_PARAMS") or MAXIMUM_SWAPPING,
            provider_path=read.directory("LMS_PATH"),
            accelerator=read.choice("ACCELERATOR", ACCELERATORS),
            keras=read.choice("KERAS", KERAS),
            mode=read.choice("EXECUTION_MODE", MODES),
            backend=read.choice("KERAS_BACKEND", BACKENDS, unset="tensorflow"),
            replicas=read.count("REPLICAS") or 1,
            batch_scale=read.count("BATCH_SCALE") or 1,
            memory_ceiling=read.count("MEMORY_CEILING"),
            data_directory=read.text("DATA_DIR"),
            input_directory=read.directory("INPUT_DIR"),
            output_directory=read.required_directory("OUTPUT_DIR"),
            intra_threads=read.count("TF_NUM_INTRAOP_THREADS"),
            inter_threads=read.count("TF_NUM_INTEROP_THREADS"),
            compilation_cache=read.text("COMPILATION_CACHE"),
            compile_for_gpu=read.count("COMPILE_FOR_GPU"),
            edit_in_place=read.switch("LMS_EDIT_IN_PLACE"),
            fault=read.text("LMS_FAULT"),
            reference=read.switch(_REFERENCE),
            measure=read.switch("LMS_MEASURE", unset=True),
        )

    @property
    def keras3(self) -> bool:
        """Whether the Keras is Keras 3, which runs on one of several backends."""
        return self.keras == "keras" and self.mode != "session"

    @property
    def on_gpu(self) -> bool:
        """Whether the accelerator is a GPU, and not a logical CPU device in its stead."""
        return self.accelerator == "gpu"

    @property
    def accelerator_device(self) -> str:
        """Device of the model, as TensorFlow writes it."""
        return "/device:GPU:0" if self.on_gpu else "/device:CPU:1"

    @property
    def accelerator_devices(self) -> typing.Tuple[str, ...]:
        """Devices of all replicas, in order; the first is `accelerator_device`."""
        if self.on_gpu:
            return tuple(f"/device:GPU:{number}" for number in range(self.replicas))
        return tuple(f"/device:CPU:{number + 1}" for number in range(self.replicas))

    @property
    def host_device(self) -> str:
        """Device of the host memory that tensors are swapped to."""
        return "/device:CPU:0"

    @property
    def resources(self) -> Resources:
        """What of the machine the framework may use."""
        return Resources(
            on_gpu=self.on_gpu,
            replicas=self.replicas,
            memory_ceiling=self.memory_ceiling,
            intra_threads=self.intra_threads,
            inter_threads=self.inter_threads,
            compilation_cache=self.compilation_cache,
        )

    def input(self, *names: str) -> str:
        """Path of an artifact of the earlier phase.

        A reference has no earlier phase: what it cannot do without it has to make itself, and finds
        it here.
        """
        if self.reference:
            return self.output(*names)
        if self.input_directory is None:
            refuse("INPUT_DIR is not set, and this script reads what an earlier phase saved")
        return os.path.join(self.input_directory, *names)

    def output(self, *names: str) -> str:
        """Path for an artifact of this phase; the directory that it is in is there."""
        path = os.path.join(self.output_directory, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path


def is_reference() -> bool:
    """Whether this process is a reference; see `Phase.reference`."""
    return _Reader(os.environ).switch(_REFERENCE)


class _Reader:
    """Reads and validates variables; a wrong one ends the process."""

    def __init__(self, environment: typing.Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> typing.Optional[str]:
        return self._environment.get(name, "").strip() or None

    def choice(
        self, name: str, known: typing.Sequence[str], unset: typing.Optional[str] = None
    ) -> str:
        value = self.text(name) or unset
        if value is None or value not in known:
            problem = "is not set" if value is None else f"is {value!r}"
            refuse(f"{name} {problem}; it must be one of {', '.join(known)}")
        return value

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            refuse(f"{name} is not set")
        return value

    def directory(self, name: str) -> typing.Optional[str]:
        value = self.text(name)
        if value is not None and not os.path.isdir(value):
            refuse(f"{name} is {value!r}, which is no directory")
        return value

    def required_directory(self, name: str) -> str:
        value = self.directory(name)
        if value is None:
            refuse(f"{name} is not set; it must name a directory")
        return value

    def count(self, name: str) -> int:
        value = self.text(name)
        if value is None:
            return 0
        if not value.isdigit():
            refuse(f"{name} is {value!r}; it must be a whole number")
        return int(value)

    def switch(self, name: str, unset: bool = False) -> bool:
        value = self.text(name)
        if value not in (None, "0", "1"):
            refuse(f"{name} is {value!r}; it must be 0 or 1")
        return unset if value is None else value == "1"
