"""Where phases run: one at a time on each GPU, or several at a time on the CPU.

What a case compares runs on GPUs of one kind as long as there is one: a peak, and the last bit of
a result, depend on the model and its memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.measure.gpu import Gpu
from harness.plan.plan import Task
from harness.record.models import Attempt

Kind = tuple[str, int | None]


def kind(gpu: Gpu) -> Kind:
    """Model and memory: GPUs of one kind are alike for all that is compared."""
    return gpu.name, gpu.total_bytes


class Places:
    """The places of a run.

    Args:
        gpus: those that it may use; none: the CPU.
        jobs: phases at a time on the CPU.
        partners: by the key of a task, what is the same for all tasks that are compared.

    Attributes:
        count: how many there were at first.
        free: those where nothing runs.
        gone: why a GPU is out of the run, by UUID.
    """

    def __init__(self, gpus: Sequence[Gpu], jobs: int, partners: Mapping[str, str]) -> None:
        self.free: list[Gpu | None] = [*gpus] or [None] * jobs
        self.count = len(self.free)
        self.gone: dict[str, str] = {}
        self._gpus = list(gpus)
        self._partners = partners if len({kind(gpu) for gpu in gpus}) > 1 else {}
        self._kinds: dict[str, Kind] = {}

    @property
    def usable(self) -> list[Gpu]:
        """The GPUs that can still be used."""
        return [gpu for gpu in self._gpus if gpu.uuid not in self.gone]

    @property
    def none_left(self) -> str | None:
        """Why nothing can run any more: the last GPU is gone; else None."""
        if not self._gpus or self.usable:
            return None
        return list(self.gone.values())[-1]

    def alike(self, one: str | None, other: str | None) -> bool:
        """Whether two GPUs, by UUID, are of one kind; what is not known is no difference."""
        kinds = {kind(gpu) for gpu in self._gpus if gpu.uuid in (one, other)}
        return len(kinds) < 2

    def fits(
        self, gpu: Gpu | None, tasks: Sequence[Task], earlier: Mapping[str, Sequence[Attempt]]
    ) -> bool:
        """Whether tasks may start on a GPU: not where they were before, if there is another one.

        Args:
            earlier: attempts by the key of a task.
        """
        if gpu is None:
            return True
        found = self.usable
        bound = [self._kinds[name] for name in self._names(tasks) if name in self._kinds]
        found = [other for other in found if kind(other) in bound[:1]] or found
        tried = {attempt.gpu for task in tasks for attempt in earlier.get(task.key, ())}
        found = [other for other in found if other.uuid not in tried] or found
        return gpu in found

    def take(self, gpu: Gpu | None, tasks: Sequence[Task]) -> None:
        """Tasks start there."""
        self.free.remove(gpu)
        if gpu is not None:
            for name in self._names(tasks):
                self._kinds.setdefault(name, kind(gpu))

    def give_back(self, gpu: Gpu | None, gone: str | None) -> None:
        """They have ended.

        Args:
            gone: why the GPU can be used no longer, or None.
        """
        if gpu is None or gone is None:
            self.free.append(gpu)
        else:
            self.gone[gpu.uuid] = gone

    def _names(self, tasks: Sequence[Task]) -> list[str]:
        return [self._partners[task.key] for task in tasks if task.key in self._partners]
