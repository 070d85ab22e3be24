"""What of a machine a framework may use."""

import typing


class UnavailableError(Exception):
    """The accelerator that was promised is not there; the text is one line."""


class Resources(typing.NamedTuple):
    """Devices, memory and threads for a framework.

    on_gpu: whether the accelerator is a GPU; else a CPU device, or its allocator, stands for one.
    replicas: accelerators, at least 1.
    memory_ceiling: bytes of a GPU's memory that the framework may take; 0 for no limit.
    intra_threads, inter_threads: CPU threads within an operation and for several of them at a
        time; 0 leaves the number to the framework.
    compilation_cache: a directory for what the framework compiles, which other phases use; or None.
    """

    on_gpu: bool
    replicas: int = 1
    memory_ceiling: int = 0
    intra_threads: int = 0
    inter_threads: int = 0
    compilation_cache: typing.Optional[str] = None
