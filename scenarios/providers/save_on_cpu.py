"""The foreign provider `torch.autograd.graph.save_on_cpu`: torch's own, of saved tensors.

Every tensor that autograd saves goes to page-locked host memory, and comes back when the backward
pass asks for it (torch's documentation of `save_on_cpu`). Where a CPU device stands in for the
accelerator both memories would be torch's; there what torch page-locks is memory of numpy's.
"""

import typing

from providers.torch.step_hooks import StepHooks


class SaveOnCpu(StepHooks):
    """Enters torch's hooks around each training step, and counts what they are handed."""

    name = "save_on_cpu"
    modes = ("eager",)
    backends = ("torch",)
    roles = ("train",)
    # What comes back has the strides of a tensor that is contiguous, whatever it had before: the
    # next kernel may add in another order.
    rounds = True

    def _context(self) -> typing.Any:
        import torch

        saving = torch.autograd.graph.save_on_cpu(pin_memory=True, device_type=self._device)
        return torch.autograd.graph.saved_tensors_hooks(
            self._counting(self._told(saving.pack_hook)), self._told(saving.unpack_hook)
        )

    @property
    def _device(self) -> str:
        return "cuda" if self._runtime.phase.on_gpu else "cpu"

    def _counting(self, hook: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
        def counting(tensor: typing.Any) -> typing.Any:
            self._count += 1
            self._bytes += tensor.nbytes
            return hook(tensor)

        return counting
