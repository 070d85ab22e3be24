"""The foreign provider `trl.models.activation_offloading.OffloadActivations`, once torchtune's.

What autograd saves and is no parameter goes to page-locked host memory, and comes back for the
backward pass; on a GPU by a stream of its own. What is below 1 KiB too, which the library leaves
where it is unless told otherwise: swapping is at its maximum. The class takes the accelerator that
torch sees and knows no other: without a GPU it is told that the CPU is it, page-locked memory is
numpy's, and there are no streams.
"""

import contextlib
import typing

from common.runtime import Runtime
from providers.torch.step_hooks import StepHooks


class OffloadActivations(StepHooks):
    """Enters trl's context around each training step, as its trainer does."""

    name = "offload_activations"
    modes = ("eager",)
    backends = ("torch",)
    packages = ("trl",)
    roles = ("train",)
    # What it takes is made contiguous first: the next kernel may add in another order.
    rounds = True

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        self._offloading: typing.Any = None

    def set_model(self, model: typing.Any) -> None:
        """Keeps the model for its parameters."""
        super().set_model(model)
        self._step_model = model

    def _context(self) -> typing.Any:
        if self._offloading is None:
            self._offloading = self._made()
        # As `get_act_offloading_ctx_manager` does: parameters stay, and views of them.
        self._offloading.update_model_params(self._step_model)
        return self._offloading

    def _made(self) -> typing.Any:
        from trl.models import activation_offloading

        on_gpu = self._runtime.phase.on_gpu
        with contextlib.nullcontext() if on_gpu else _cpu_as_accelerator():
            made = activation_offloading.OffloadActivations(use_streams=on_gpu, min_offload_size=0)
        made.pack_hook = self._counting(self._told(made.pack_hook))
        made.unpack_hook = self._told(made.unpack_hook)
        return made

    def _counting(self, hook: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
        def counting(tensor: typing.Any) -> typing.Any:
            number = hook(tensor)
            kept, moved, *_ = self._offloading.tracker[number]
            if moved:
                self._count += 1
                self._bytes += kept.nbytes
            return number

        return counting


@contextlib.contextmanager
def _cpu_as_accelerator() -> typing.Iterator[None]:
    """Lets torch name the CPU where it is asked for its accelerator."""
    import torch

    asked = torch.accelerator.current_accelerator
    torch.accelerator.current_accelerator = lambda *args, **named: torch.device("cpu")
    try:
        yield
    finally:
        torch.accelerator.current_accelerator = asked
