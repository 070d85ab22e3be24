"""For a canary on torch: LMS announces what it would swap, and everything stays where it is."""

import typing

from common.runtime import Runtime
from providers.torch.host_memory import HostMemory
from providers.torch.saved_tensors import SavedTensorSwapper


class DryRun(SavedTensorSwapper):
    """Has the hooks and counts of the provider, and a host memory that is no memory."""

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        self._host = _Nowhere()


class _Nowhere(HostMemory):
    """Keeps what it takes where it is, and hands it back."""

    def store(self, flat: typing.Any) -> typing.Any:
        """Moves nothing."""
        return flat

    def load(self, kept: typing.Any, device: typing.Any) -> typing.Any:
        """Moves nothing."""
        return kept
