"""Our own provider for Keras 3 on torch: moves what autograd saves to host memory and back.

While a training step runs, `torch.autograd.graph.saved_tensors_hooks` hands every tensor that the
forward pass saves for the backward pass to `pack`, and asks `unpack` for it when the backward
pass needs it. What happens in between is in `storage`.

Prediction runs under `torch.no_grad()`: nothing is saved, so there is nothing to swap.
"""

import contextlib
import typing

from common import marker
from common.runtime import Runtime
from providers.announcement import Swaps
from providers.interface import Provider
from providers.torch import storage
from providers.torch.host_memory import HostMemory, NumpyMemory, PinnedMemory
from providers.torch.release import ReleasingGraph


class SavedTensorSwapper(Provider):
    """Swaps the activations of each training step.

    Keras calls `on_train_batch_begin` and `on_train_batch_end` around a step of `fit`, but not
    around `train_on_batch`, which has to run within `swapping()`.

    Of the parameters, `sync_mode` has an effect: with 1 and 3 the forward pass waits for each
    swap-out. A swap-in always waits until its consumer is otherwise ready, and every consumer has
    its own unless what an earlier one got is still alive.
    """

    name = "builtin"
    modes = ("eager",)
    backends = ("torch",)

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        self._step_model: typing.Any = None
        self._host: typing.Optional[HostMemory] = None
        self._entered: typing.Optional[contextlib.ExitStack] = None
        self._moved: typing.Optional[storage.Moved] = None
        self._reported = False

    def set_model(self, model: typing.Any) -> None:
        """Called by Keras when training starts, or by a script before it loads weights.

        Raises ValueError where Keras would compile the training step: a compiled step decides
        when it is compiled what it saves, and calls no hooks.
        """
        super().set_model(model)
        self._step_model = model
        if not self.is_training:
            self.run()
        elif getattr(model, "jit_compile", False):
            raise ValueError("LMS needs jit_compile=False on torch")

    def run(self, graph: typing.Any = None) -> None:
        """For a script that only predicts: says that there is nothing to swap."""
        if self._reported:
            return
        self._reported = True
        marker.note("torch saves no activation while a model predicts: there is nothing to swap")

    @contextlib.contextmanager
    def swapping(self) -> typing.Iterator[None]:
        """Swaps in the one training step that runs within."""
        self.on_train_batch_begin(0)
        try:
            yield
        finally:
            self.on_train_batch_end(0)

    def on_train_batch_begin(self, batch: int, logs: typing.Any = None) -> None:
        """Enters the hooks."""
        self._leave()  # a step that raised did not reach its end
        if self.is_training:
            entered = contextlib.ExitStack()
            for context in self._contexts():
                entered.enter_context(context)
            self._entered = entered

    def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Leaves the hooks; after the first step, says what it moved."""
        self._leave()
        if self._moved is not None and not self._reported:
            self._reported = True
            self._report(self._moved)

    def on_train_end(self, logs: typing.Any = None) -> None:
        """Leaves the hooks."""
        self._leave()

    def _contexts(self) -> typing.List[typing.Any]:
        import torch

        phase = self._runtime.phase
        if self._host is None:
            self._host = (
                PinnedMemory(self.parameters.synchronous_swapout) if phase.on_gpu else NumpyMemory()
            )
        step = self._make_step(
            self._host,
            "cuda" if phase.on_gpu else "cpu",
            storage.resident(self._step_model),
        )
        self._moved = step.moved
        return [
            ReleasingGraph(self._step_model),
            torch.autograd.graph.saved_tensors_hooks(step.pack, step.unpack),
        ]

    def _make_step(
        self, host: HostMemory, device: str, resident: typing.FrozenSet[int]
    ) -> storage.Step:
        return storage.Step(host, device, resident)

    def _leave(self) -> None:
        entered, self._entered = self._entered, None
        if entered is not None:
            entered.close()
            if self._host is not None:
                self._host.finish()

    def _report(self, moved: storage.Moved) -> None:
        swaps = Swaps(moved.swap_out, moved.swap_in, moved.bytes_out, moved.bytes_in)
        self.announce(swaps)
