"""The storages of one training step on torch: out to host memory, and back.

What moves is a storage, the memory that a tensor and all its views share: once out, whatever
number of operations save it, and back for each that needs it unless it is back already.

In place of a GPU, torch's own CPU allocator stands for the accelerator, and the host is memory
that numpy allocates: a storage that is out is no memory of torch's.
"""

import typing
import weakref

from providers.torch.host_memory import HostMemory

# A tensor, its dtype, a storage, and a flat tensor of all bytes of one.
_Tensor = typing.Any
_DType = typing.Any
Storage = typing.Any
_Bytes = typing.Any

# Vectors, such as the statistics of a batch normalisation, stay, as with TFLMS.
_LEAST_RANK = 2


class Moved:
    """How many storages a step moved, and how many bytes."""

    def __init__(self) -> None:
        self.swap_out = self.swap_in = self.bytes_out = self.bytes_in = 0


class Step:
    """The two hooks of one step.

    host: where to. device: type of the accelerator, `'cpu'` or `'cuda'`. resident: storages that
    stay.
    """

    def __init__(
        self,
        host: HostMemory,
        device: str,
        resident: typing.FrozenSet[int],
    ) -> None:
        self.moved = Moved()
        self._host = host
        self._device = device
        self._resident = resident
        # An entry keeps its storage's identity from being another one's.
        self._entries: weakref.WeakValueDictionary[typing.Tuple[int, int], Entry] = (
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
            entry = self._swap_out(storage, tensor.dtype)
            if entry is None:
                return tensor
            self._entries[key] = entry
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

    def _swap_out(self, storage: Storage, dtype: _DType) -> "typing.Optional[Entry]":
        entry = Entry(storage, dtype, self._host.store(_bytes_of(storage)))
        self.moved.swap_out += 1
        self.moved.bytes_out += entry.size
        return entry

    def _swap_in(self, entry: "Entry") -> Storage:
        flat = self._host.load(entry.kept, entry.device)
        self.moved.swap_in += 1
        self.moved.bytes_in += entry.size
        storage = flat.untyped_storage()
        entry.keep_track(storage)
        return storage


class Entry:
    """One storage that is out.

    It lives as long as an operation's backward pass may ask for it; then the host's memory is
    free again.

    held: a storage that lives as long; None unless a fault is asked for.
    """

    held: typing.Any = None

    def __init__(self, storage: Storage, dtype: _DType, kept: typing.Any) -> None:
        from torch.multiprocessing.reductions import StorageWeakRef

        self.size: int = storage.nbytes()
        self.dtype = dtype
        self.device = storage.device
        self.kept = kept
        self._original = StorageWeakRef(storage)
        self._returned: typing.Any = None

    def keep_track(self, storage: Storage) -> None:
        """Remembers what was swapped in, without keeping it alive."""
        from torch.multiprocessing.reductions import StorageWeakRef

        self._returned = StorageWeakRef(storage)

    def returned(self) -> typing.Optional[Storage]:
        """The storage that was swapped in, while somebody uses it; else None."""
        import torch

        if self._returned is None or self._returned.expired():
            return None
        return torch.UntypedStorage._new_with_weak_ptr(self._returned.cdata)


class _Packed(typing.NamedTuple):
    """What autograd keeps in place of a tensor."""

    entry: Entry
    dtype: _DType
    size: typing.Any
    stride: typing.Any
    offset: int


def resident(model: typing.Any) -> typing.FrozenSet[int]:
    """Identities of the storages that stay: what a model and its optimizer hold."""
    tensors = list(model.parameters()) + list(model.buffers())
    variables = list(model.variables)
    if getattr(model, "optimizer", None) is not None:
        variables += list(model.optimizer.variables)
    tensors += [variable.value for variable in variables]
    return frozenset(_identity(tensor.untyped_storage()) for tensor in tensors)


def _identity(storage: Storage) -> int:
    identity: int = storage._cdata
    return identity


def _bytes_of(storage: Storage) -> _Bytes:
    """A tensor of all bytes of a storage."""
    import torch

    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
