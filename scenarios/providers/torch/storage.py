"""The storages of one training step on torch: out to host memory, and back.

What moves is a storage, the memory that a tensor and all its views share: once out, whatever
number of operations save it, and back for each that needs it unless it is back already.

In place of a GPU, torch's own CPU allocator stands for the accelerator, and the host is memory
that numpy allocates: a storage that is out is no memory of torch's.
"""

import collections
import typing
import weakref

# A tensor, its dtype, a storage, and a flat tensor of all bytes of one.
_Tensor = typing.Any
_DType = typing.Any
_Storage = typing.Any
_Bytes = typing.Any

# Copies to the host that an asynchronous forward pass may be ahead of.
_IN_FLIGHT = 2
# Vectors, such as the statistics of a batch normalisation, stay, as with TFLMS.
_LEAST_RANK = 2


class Moved:
    """How many storages a step moved, and how many bytes."""

    def __init__(self) -> None:
        self.swap_out = self.swap_in = self.bytes_out = self.bytes_in = 0


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


class Step:
    """The two hooks of one step.

    host: where to. device: type of the accelerator, `'cpu'` or
    `'cuda'`. resident: storages that stay. corrupt: swap back half of every number.
    """

    def __init__(
        self,
        host: HostMemory,
        device: str,
        resident: typing.FrozenSet[int],
        corrupt: bool = False,
    ) -> None:
        self.moved = Moved()
        self._host = host
        self._device = device
        self._resident = resident
        self._corrupt = corrupt
        # An entry keeps its storage's identity from being another one's.
        self._entries: weakref.WeakValueDictionary[typing.Tuple[int, int], _Entry] = (
            weakref.WeakValueDictionary()
        )

    def pack(self, tensor: _Tensor) -> typing.Any:
        """What autograd keeps in place of a tensor."""
        if not self._is_movable(tensor):
            return tensor
        storage = tensor.untyped_storage()
        if _identity(storage) in self._resident or not storage.resizable():
            # What cannot be resized is no memory of torch's allocator: on the CPU a batch is
            # a view of numpy's.
            return tensor
        # An operation in place makes another version of the same storage.
        key = _identity(storage), tensor._version
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._swap_out(storage, tensor.dtype)
        return _Packed(entry, tensor.dtype, tensor.size(), tensor.stride(), tensor.storage_offset())

    def unpack(self, packed: typing.Any) -> _Tensor:
        """The tensor that was packed."""
        import torch

        if not isinstance(packed, _Packed):
            return packed
        storage = packed.entry.returned()
        if storage is None:
            storage = self._swap_in(packed.entry)
        with torch.no_grad():
            tensor = torch.empty(0, dtype=packed.dtype, device=storage.device)
            return tensor.set_(storage, packed.offset, packed.size, packed.stride)

    def _is_movable(self, tensor: _Tensor) -> bool:
        import torch

        return bool(
            tensor.device.type == self._device
            and tensor.layout is torch.strided
            and tensor.dim() >= _LEAST_RANK
            and tensor.numel() > 0
            and type(tensor) in (torch.Tensor, torch.nn.Parameter)
            and not (tensor.is_conj() or tensor.is_neg())
        )

    def _swap_out(self, storage: _Storage, dtype: _DType) -> "_Entry":
        entry = _Entry(storage, dtype, self._host.store(_bytes_of(storage)))
        self.moved.swap_out += 1
        self.moved.bytes_out += entry.size
        return entry

    def _swap_in(self, entry: "_Entry") -> _Storage:
        flat = self._host.load(entry.kept, entry.device)
        if self._corrupt and entry.dtype.is_floating_point:
            # Not zeros: a logarithm of them would end the training before anybody compares.
            flat.view(entry.dtype).mul_(0.5)
        self.moved.swap_in += 1
        self.moved.bytes_in += entry.size
        storage = flat.untyped_storage()
        entry.keep_track(storage)
        return storage


class _Entry:
    """One storage that is out.

    It lives as long as an operation's backward pass may ask for it; then the host's memory is
    free again.
    """

    def __init__(self, storage: _Storage, dtype: _DType, kept: typing.Any) -> None:
        from torch.multiprocessing.reductions import StorageWeakRef

        self.size: int = storage.nbytes()
        self.dtype = dtype
        self.device = storage.device
        self.kept = kept
        self._original = StorageWeakRef(storage)
        self._returned: typing.Any = None

    def keep_track(self, storage: _Storage) -> None:
        """Remembers what was swapped in, without keeping it alive."""
        from torch.multiprocessing.reductions import StorageWeakRef

        self._returned = StorageWeakRef(storage)

    def returned(self) -> typing.Optional[_Storage]:
        """The storage that was swapped in, while somebody uses it; else None."""
        import torch

        if self._returned is None or self._returned.expired():
            return None
        return torch.UntypedStorage._new_with_weak_ptr(self._returned.cdata)


class _Packed(typing.NamedTuple):
    """What autograd keeps in place of a tensor."""

    entry: _Entry
    dtype: _DType
    size: typing.Any
    stride: typing.Any
    offset: int


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

    def finish(self) -> None:
        """The step is over."""


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


def resident(model: typing.Any) -> typing.FrozenSet[int]:
    """Identities of the storages that stay: what a model and its optimizer hold."""
    tensors = list(model.parameters()) + list(model.buffers())
    variables = list(model.variables)
    if getattr(model, "optimizer", None) is not None:
        variables += list(model.optimizer.variables)
    tensors += [variable.value for variable in variables]
    return frozenset(_identity(tensor.untyped_storage()) for tensor in tensors)


def _identity(storage: _Storage) -> int:
    identity: int = storage._cdata
    return identity


def _bytes_of(storage: _Storage) -> _Bytes:
    """A tensor of all bytes of a storage."""
    import torch

    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
