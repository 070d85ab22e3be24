"""The foreign provider `torch.autograd.graph.save_on_cpu`: torch's own, of saved tensors.

Every tensor that autograd saves goes to page-locked host memory, and comes back when the backward
pass asks for it (torch's documentation of `save_on_cpu`). Where a CPU device stands in for the
accelerator both memories would be torch's; there what torch page-locks is memory of numpy's.
"""

import typing

from common.runtime import Runtime
from providers.announcement import Swaps
from providers.interface import Provider


class SaveOnCpu(Provider):
    """Enters torch's hooks around each training step, and counts what they are handed."""

    name = "save_on_cpu"
    modes = ("eager",)
    backends = ("torch",)
    roles = ("train",)
    # What comes back has the strides of a tensor that is contiguous, whatever it had before: the
    # next kernel may add in another order.
    rounds = True

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        self._hooks: typing.Any = None
        self._count = self._bytes = 0
        self._announced = False

    def on_train_batch_begin(self, batch: int, logs: typing.Any = None) -> None:
        """Enters the hooks."""
        import torch

        self._leave()  # a step that raised did not reach its end
        self._count = self._bytes = 0
        saving = torch.autograd.graph.save_on_cpu(pin_memory=True, device_type=self._device)
        self._hooks = torch.autograd.graph.saved_tensors_hooks(
            self._counting(self._told(saving.pack_hook)), self._told(saving.unpack_hook)
        )
        self._hooks.__enter__()

    def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Leaves the hooks; after the first step, says what was moved."""
        self._leave()
        if not self._announced:
            self._announced = True
            self.announce(Swaps(self._count, self._count, self._bytes, self._bytes))

    def on_train_end(self, logs: typing.Any = None) -> None:
        """Leaves the hooks."""
        self._leave()

    @property
    def _device(self) -> str:
        return "cuda" if self._runtime.phase.on_gpu else "cpu"

    def _told(self, hook: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
        """A hook of torch's, with page-locked memory where there is no GPU to lock it for."""
        if self._runtime.phase.on_gpu:
            return hook
        from providers.torch.page_locked import numpy_memory

        def told(value: typing.Any) -> typing.Any:
            with numpy_memory():
                return hook(value)

        return told

    def _counting(self, hook: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
        def counting(tensor: typing.Any) -> typing.Any:
            self._count += 1
            self._bytes += tensor.nbytes
            return hook(tensor)

        return counting

    def _leave(self) -> None:
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.__exit__(None, None, None)
