"""Page-locked host memory for libraries of others, where no GPU is: numpy's."""

import typing


def numpy_memory() -> typing.Any:
    """A context in which what a library page-locks, or puts on the CPU, is memory of numpy's.

    A CPU device stands in for the accelerator, so a tensor is on it if torch's allocator has it,
    and on the host if somebody else has. `empty` and `empty_like` with `pin_memory`, `cpu` and
    `pin_memory` of a tensor go to the host; `to`, of one that is there, comes back.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    makers = (torch.empty, torch.empty_like)
    outward = (torch.Tensor.cpu, torch.Tensor.pin_memory)

    class NumpyMemory(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self,
            function: typing.Any,
            types: typing.Any,
            args: typing.Any = (),
            kwargs: typing.Any = None,
        ) -> typing.Any:
            named = dict(kwargs or {})
            if function in makers and named.pop("pin_memory", False):
                return _on_host(function(*args, **named))
            if function in outward:
                return _on_host(args[0]).copy_(args[0])
            if function is torch.Tensor.to and not args[0].untyped_storage().resizable():
                return function(*args, **{**named, "copy": True})
            return function(*args, **named)

    return NumpyMemory()


def _on_host(like: typing.Any) -> typing.Any:
    """An empty tensor of the same shape, type and strides, in memory of numpy's."""
    import numpy as np
    import torch

    flat = torch.from_numpy(np.empty(like.untyped_storage().nbytes(), np.uint8))
    with torch.no_grad():
        tensor = torch.empty(0, dtype=like.dtype)
        return tensor.set_(flat.untyped_storage(), 0, like.size(), like.stride())
