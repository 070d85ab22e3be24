"""Host memory for storages that are out: numpy's in place of a GPU, page-locked for one."""

import collections
import typing
import weakref

# A flat tensor of all bytes of a storage.
_Bytes = typing.Any
# Copies to the host that an asynchronous forward pass may be ahead of.
_IN_FLIGHT = 2


class HostMemory:
    """Where storages are while they are out."""

    def store(self, flat: _Bytes) -> typing.Any:
        """Copies bytes out; returns what `load` takes."""
        raise NotImplementedError

    def load(self, kept: typing.Any, device: typing.Any) -> _Bytes:
        """Copies bytes back to a device."""
        raise NotImplementedError

    def finish(self) -> None:
        """The step is over."""


class NumpyMemory(HostMemory):
    """Host memory of the virtual accelerator: nothing that torch's allocator knows of."""

    def store(self, flat: _Bytes) -> typing.Any:
        """Copies bytes out."""
        import numpy as np
        import torch

        kept = np.empty(flat.numel(), np.uint8)
        with torch.no_grad():
            torch.from_numpy(kept).copy_(flat)
        return kept

    def load(self, kept: typing.Any, device: typing.Any) -> _Bytes:
        """Copies bytes back."""
        import torch

        with torch.no_grad():
            return torch.empty(kept.size, dtype=torch.uint8).copy_(torch.from_numpy(kept))


class PinnedMemory(HostMemory):
    """Page-locked host memory of a GPU, kept from step to step, and a stream each way.

    synchronous: whether the forward pass waits for each copy to the host.

    A device tensor is held until its copy is complete and no longer: released then, its block
    can be allocated again at once, and the peak does not depend on how far the CPU is ahead of the
    GPU, as it would with `record_stream`.
    """

    def __init__(self, synchronous: bool) -> None:
        self._in_flight = 0 if synchronous else _IN_FLIGHT
        self._pending: typing.Deque[typing.Any] = collections.deque()
        # By size.
        self._free: typing.Dict[int, typing.List[_Buffer]] = collections.defaultdict(list)
        self._streams: typing.Any = None

    def store(self, flat: _Bytes) -> typing.Any:
        """Copies bytes out, on a stream of its own."""
        import torch

        outward, _ = self._streams_of(flat.device)
        buffer = self._take(flat.numel())
        # The tensor may be still to be computed, and the buffer still to be read from.
        outward.wait_stream(torch.cuda.current_stream(flat.device))
        if buffer.read is not None:
            outward.wait_event(buffer.read)
        with torch.no_grad(), torch.cuda.stream(outward):
            buffer.tensor.copy_(flat, non_blocking=True)
            buffer.written = outward.record_event()
        self._pending.append((buffer.written, flat))
        self._drain(self._in_flight)
        return _InUse(buffer, self._free)

    def load(self, kept: typing.Any, device: typing.Any) -> _Bytes:
        """Copies bytes back, on a stream of its own, for what the current stream does next."""
        import torch

        self._drain(0)
        _, inward = self._streams_of(device)
        buffer = kept.buffer
        current = torch.cuda.current_stream(device)
        flat = torch.empty(buffer.tensor.numel(), dtype=torch.uint8, device=device)
        # Work on the current stream may still use the block that the allocator gave.
        inward.wait_stream(current)
        inward.wait_event(buffer.written)
        with torch.no_grad(), torch.cuda.stream(inward):
            flat.copy_(buffer.tensor, non_blocking=True)
            buffer.read = inward.record_event()
        current.wait_event(buffer.read)
        return flat

    def finish(self) -> None:
        """The step is over."""
        self._drain(0)

    def _streams_of(self, device: typing.Any) -> typing.Any:
        import torch

        if self._streams is None:
            self._streams = torch.cuda.Stream(device), torch.cuda.Stream(device)
        return self._streams

    def _take(self, size: int) -> "_Buffer":
        if self._free[size]:
            return self._free[size].pop()
        return _Buffer(size)

    def _drain(self, most: int) -> None:
        while len(self._pending) > most:
            written, _ = self._pending.popleft()
            written.synchronize()


class _Buffer:
    """Page-locked memory."""

    def __init__(self, size: int) -> None:
        import torch

        self.tensor = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        # Events of the last copies.
        self.written: typing.Any = None
        self.read: typing.Any = None


class _InUse:
    """A buffer in use; free again when nobody holds this."""

    def __init__(self, buffer: _Buffer, free: typing.Dict[int, typing.List[_Buffer]]) -> None:
        self.buffer = buffer
        weakref.finalize(self, free[buffer.tensor.numel()].append, buffer).atexit = False
