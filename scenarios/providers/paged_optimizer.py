"""Optimizers of plain torch whose state is in host memory between steps.

Where a GPU is, bitsandbytes' paged Adam: its state is in memory that CUDA manages, and the driver
moves its pages (bitsandbytes' documentation of its 8-bit optimizers). On a CPU it has none ("Paged
optimizers are not supported on CPU", `Optimizer8bit.get_state_buffer`). There the state of torch's
own optimizer is brought to the accelerator for each step and back, by the hooks that torch has for
that (`register_step_pre_hook`, `register_step_post_hook`): torch itself offloads state only with
FSDP's parameters, and torchao's `CPUOffloadOptimizer` takes no device but CUDA's and Intel's.

`load_state_dict` puts state where its parameter is, as torch documents it. So what was in host
memory before a save is on the accelerator after a load, unless somebody takes it out again.
"""

import typing

from common.phase import Phase
from common.runtime import Runtime
from providers.announcement import Swaps
from providers.interface import Provider


class PagedOptimizer(Provider):
    """Keeps the state that it or the optimizer makes in host memory between steps.

    A scalar stays where it is, as with torch. `load_hook` takes loaded state out; state that is put
    in the optimizer past it is left where it is, as bitsandbytes leaves what is not paged.
    """

    name = "paged_optimizer"
    modes = ("eager",)
    backends = ("torch",)
    accelerators: typing.Tuple[str, ...] = ("virtual",)
    requires = ("plain_torch",)
    roles = ("train",)

    load_hook: typing.Any = None

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        # What is out or was when the step began, by parameter and name: memory of the host.
        self._host: typing.Dict[typing.Tuple[typing.Any, str], typing.Any] = {}
        self._left: typing.Set[typing.Tuple[typing.Any, str]] = set()
        self._announced = False

    def optimizer(
        self,
        made: typing.Callable[..., typing.Any],
        parameters: typing.Iterable[typing.Any],
        **options: typing.Any,
    ) -> typing.Any:
        """Torch's own optimizer, with hooks."""
        optimizer = super().optimizer(made, parameters, **options)
        optimizer.register_step_pre_hook(lambda entry, args, kwargs: self._bring(entry))
        optimizer.register_step_post_hook(lambda entry, args, kwargs: self._take_back(entry))
        self.load_hook = optimizer.register_load_state_dict_post_hook(self._take_loaded)
        return optimizer

    def _bring(self, optimizer: typing.Any) -> None:
        """Before a step: what is in host memory goes to the accelerator."""
        import torch

        self._left = set()
        for key, tensor in _state(optimizer):
            if tensor is self._host.get(key):
                parameter, name = key
                there = torch.empty_like(tensor, device=parameter.device)
                optimizer.state[parameter][name] = there.copy_(tensor, non_blocking=True)
            else:
                self._left.add(key)

    def _take_back(self, optimizer: typing.Any) -> None:
        """After a step: what was brought, and what the step has made, goes to host memory."""
        for key, tensor in _state(optimizer):
            if key not in self._left:
                self._take(optimizer, key, tensor)
        if not self._announced:
            self._announced = True
            sizes = [tensor.nbytes for _, tensor in _state(optimizer)]
            self.announce(Swaps(len(sizes), len(sizes), sum(sizes), sum(sizes)))

    def _take_loaded(self, optimizer: typing.Any) -> None:
        self._host.clear()
        for key, tensor in _state(optimizer):
            self._take(optimizer, key, tensor)

    def _take(
        self, optimizer: typing.Any, key: typing.Tuple[typing.Any, str], tensor: typing.Any
    ) -> None:
        import torch

        from providers.torch.page_locked import numpy_memory

        if key not in self._host:
            with numpy_memory():
                self._host[key] = torch.empty_like(tensor, device="cpu", pin_memory=True)
        parameter, name = key
        optimizer.state[parameter][name] = self._host[key].copy_(tensor)


class BitsandbytesPagedAdam(PagedOptimizer):
    """Bitsandbytes' own, in place of torch's Adam. Tensors of less than 100,000 numbers stay."""

    accelerators = ("gpu",)
    packages = ("bitsandbytes",)
    effect = "pages"
    # Its kernel is another one than torch's.
    rounds = True

    def optimizer(
        self,
        made: typing.Callable[..., typing.Any],
        parameters: typing.Iterable[typing.Any],
        **options: typing.Any,
    ) -> typing.Any:
        """The paged Adam, with 32 bits as torch's has.

        Raises ValueError where another optimizer is asked for.
        """
        import bitsandbytes

        if made.__name__ != "Adam":
            raise ValueError(f"provider {self.name} has a paged Adam, and no {made.__name__}")
        return bitsandbytes.optim.PagedAdam(parameters, **options)

    def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """After the first step, says that its state is paged: how much moves, the driver knows."""
        if not self._announced:
            self._announced = True
            self.announce(Swaps(1, 1, None, None))


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase's accelerator."""
    return BitsandbytesPagedAdam if phase.on_gpu else PagedOptimizer


def _state(
    optimizer: typing.Any,
) -> typing.List[typing.Tuple[typing.Tuple[typing.Any, str], typing.Any]]:
    """The tensors of an optimizer's state that are no scalars, by parameter and name."""
    return [
        ((parameter, name), value)
        for parameter, held in optimizer.state.items()
        for name, value in held.items()
        if hasattr(value, "dim") and value.dim() > 0
    ]
