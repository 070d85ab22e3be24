"""Our own provider for torch with a fault, for a harness to notice; see `providers.fault`."""

import functools
import typing

from common.runtime import Runtime
from providers import fault
from providers.fault import Fault
from providers.interface import Provider
from providers.torch import storage
from providers.torch.dry_run import DryRun
from providers.torch.host_memory import HostMemory
from providers.torch.saved_tensors import SavedTensorSwapper
from providers.torch.storage import Entry, Storage

_OptionalEntry = typing.Optional[Entry]


class _LosingStep(storage.Step):
    """Leaves storages where they are, and does not count them.

    known: sizes of what the step before this one would have swapped, in order, or None in the first
    step, which swaps all: which are the largest is known only afterwards.
    """

    def __init__(
        self, *arguments: typing.Any, fault: Fault, known: typing.Optional[typing.List[int]]
    ) -> None:
        super().__init__(*arguments)
        self.sizes: typing.List[int] = []
        self._lost = fault.lost(known or [])
        self._left: typing.Set[int] = set()

    def _swap_out(self, moved: Storage, dtype: typing.Any) -> _OptionalEntry:
        if moved._cdata in self._left:
            return None
        self.sizes.append(moved.nbytes())
        if len(self.sizes) - 1 in self._lost:
            self._left.add(moved._cdata)
            return None
        return super()._swap_out(moved, dtype)


class _KeepingStep(storage.Step):
    """Holds each storage that is out until it is back."""

    def _swap_out(self, moved: Storage, dtype: typing.Any) -> _OptionalEntry:
        entry = super()._swap_out(moved, dtype)
        if entry is not None:
            entry.held = moved
        return entry


class _EarlyStep(storage.Step):
    """Moves each storage back at once, and holds that."""

    def _swap_out(self, moved: Storage, dtype: typing.Any) -> _OptionalEntry:
        entry = super()._swap_out(moved, dtype)
        if entry is not None:
            entry.held = self._swap_in(entry)
        return entry


class _WrongValues(storage.Step):
    """Moves back half of every number."""

    def _swap_in(self, entry: Entry) -> Storage:
        back = super()._swap_in(entry)
        if entry.dtype.is_floating_point:
            # Not zeros: a logarithm of them would end the training before anybody compares.
            _numbers(back, entry).mul_(0.5)
        return back


class _WrongElement(storage.Step):
    """One number of the first storage that is back is another in one step.

    change: of all steps.
    """

    def __init__(self, *arguments: typing.Any, change: fault.WrongElement) -> None:
        super().__init__(*arguments)
        self._change = change
        self._is_done = False

    def _swap_in(self, entry: Entry) -> Storage:
        back = super()._swap_in(entry)
        if entry.dtype.is_floating_point and not self._is_done:
            self._is_done = True
            import torch

            numbers = _numbers(back, entry)
            numbers.copy_(torch.from_numpy(self._change(numbers.cpu().numpy())))
        return back


class _WrongTensor(storage.Step):
    """The first storage that has the size of another one comes back as that."""

    _is_done = False

    def _swap_in(self, entry: Entry) -> Storage:
        others = [
            other
            for other in self._entries.values()
            if other is not entry and (other.size, other.dtype) == (entry.size, entry.dtype)
        ]
        if self._is_done or not others:
            return super()._swap_in(entry)
        self._is_done = True
        own, entry.kept = entry.kept, others[0].kept
        try:
            return super()._swap_in(entry)
        finally:
            entry.kept = own


class BrokenSwapper(SavedTensorSwapper):
    """Swaps in a wrong way."""

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        asked = Fault.parse(runtime.phase.fault or "")
        steps: typing.Dict[str, typing.Callable[..., storage.Step]] = {
            "device_copy_kept": _KeepingStep,
            "swapped_in_early": _EarlyStep,
            "values_wrong": _WrongValues,
            "element_wrong": functools.partial(_WrongElement, change=fault.WrongElement()),
            "tensor_wrong": _WrongTensor,
        }
        self._make = steps.get(asked.kind, storage.Step)

    def _make_step(
        self, host: HostMemory, device: str, resident: typing.FrozenSet[int]
    ) -> storage.Step:
        return self._make(host, device, resident)


class LosingSwapper(SavedTensorSwapper):
    """Leaves a part of the storages where they are; says what it moves after its second step."""

    _step: typing.Optional[_LosingStep] = None
    _known: typing.Optional[typing.List[int]] = None

    def _make_step(
        self, host: HostMemory, device: str, resident: typing.FrozenSet[int]
    ) -> storage.Step:
        asked = Fault.parse(self._runtime.phase.fault or "")
        self._known = None if self._step is None else self._step.sizes
        self._step = _LosingStep(host, device, resident, fault=asked, known=self._known)
        return self._step

    def _report(self, moved: storage.Moved) -> None:
        if self._known is None:
            self._reported = False
        else:
            super()._report(moved)


class FirstStepSwapper(SavedTensorSwapper):
    """Swaps in the first step of each training."""

    def on_train_batch_begin(self, batch: int, logs: typing.Any = None) -> None:
        """Enters the hooks, in that step."""
        if batch == 0:
            super().on_train_batch_begin(batch, logs)
        else:
            self._leave()


def choose(asked: Fault) -> typing.Type[Provider]:
    """The class for a fault."""
    classes: typing.Dict[str, typing.Type[Provider]] = {
        fault.LOST: LosingSwapper,
        "first_step_only": FirstStepSwapper,
        "never_swapped": DryRun,
    }
    return classes.get(asked.kind, BrokenSwapper)


def _numbers(back: Storage, entry: Entry) -> typing.Any:
    """A storage that is back, as a flat tensor of the type that it was saved with."""
    import torch

    return torch.empty(0, dtype=entry.dtype, device=back.device).set_(back)
