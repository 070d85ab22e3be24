"""The published CIFAR-10 archive, read without trusting its pickles.

The archive is a compressed tar of Python 2 pickles: `data_batch_1` to `data_batch_5` and
`test_batch`, each a dict with `data`, uint8 [10000, 3072], red, green and blue plane after each
other, and `labels`, a list of 10000 numbers (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import os
import pickle
import tarfile
import typing

FILE = "cifar-10-python.tar.gz"
SIDE = 32
COLOURS = 3
CLASSES = 10
# The published batches have 31 MB.
_LARGEST_MEMBER = 64 * 2**20


Labelled = typing.Tuple[typing.Any, typing.Any]


def read(path: str, train: int, test: int) -> typing.Tuple[Labelled, Labelled]:
    """The first images of the archive, in its order.

    train, test: how many images at most. Returns `(images, labels)` of each: uint8
    [n, 32, 32, 3] and uint8 [n].

    Raises ValueError with one line where the file is no such archive.
    """
    wanted = {"data_batch_": train, "test_batch": test}
    found: typing.Dict[str, typing.List[Labelled]] = {kind: [] for kind in wanted}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                kind = _kind(member)
                if kind is None or wanted[kind] <= 0:
                    continue
                images, labels = _batch(archive, member)
                found[kind].append((images[: wanted[kind]], labels[: wanted[kind]]))
                wanted[kind] -= len(found[kind][-1][1])
                if max(wanted.values()) <= 0:
                    break  # the rest need not be unpacked
    except Exception as problem:  # a damaged or hostile pickle can raise any
        raise ValueError(f"{path}: no CIFAR-10 archive: {problem or repr(problem)}")
    for kind in sorted(found):
        if not found[kind]:
            raise ValueError(f"{path}: no CIFAR-10 archive: no {kind}*")
    return _joined(found["data_batch_"]), _joined(found["test_batch"])


def _kind(member: tarfile.TarInfo) -> typing.Optional[str]:
    name = os.path.basename(member.name)
    if not member.isfile():
        return None
    return next((kind for kind in ("data_batch_", "test_batch") if name.startswith(kind)), None)


def _batch(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Labelled:
    """Images and labels of one pickle."""
    import numpy as np

    if member.size > _LARGEST_MEMBER:
        raise ValueError(f"{member.name} has {member.size} bytes")
    file: typing.Any = archive.extractfile(member)
    content = _Unpickler(file, encoding="bytes").load()
    if not isinstance(content, dict):
        raise ValueError(f"{member.name} is no dict")
    values, labels = content.get(b"data"), content.get(b"labels")
    if not isinstance(values, _Array) or not isinstance(labels, list):
        raise ValueError(f"{member.name} has no data and labels")
    if any(type(label) is not int or not 0 <= label < CLASSES for label in labels):
        raise ValueError(f"{member.name} has labels beyond 0 to {CLASSES - 1}")
    planes = np.frombuffer(values.content, np.uint8)
    planes = planes.reshape(len(labels), COLOURS, SIDE, SIDE)
    return planes.transpose(0, 2, 3, 1), np.array(labels, np.uint8)


def _joined(batches: typing.Sequence[Labelled]) -> Labelled:
    import numpy as np

    images, labels = zip(*batches)
    return np.ascontiguousarray(np.concatenate(images)), np.concatenate(labels)


class _DType:
    """Stands for the type of an array; only bytes are taken."""

    def __init__(self, code: typing.Any, *arguments: typing.Any) -> None:
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"an array of {code!r}")

    def __setstate__(self, state: typing.Any) -> None:
        pass


class _Array:
    """Stands for an array: its bytes."""

    content = b""

    def __init__(self, *arguments: typing.Any) -> None:
        pass

    def __setstate__(self, state: typing.Any) -> None:
        _, _, kind, is_fortran, content = state
        if not isinstance(kind, _DType) or is_fortran or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array that is no plain one of bytes")
        self.content = content


class _Unpickler(pickle.Unpickler):
    """Knows plain values and arrays of bytes, and calls nothing that a pickle names."""

    _KNOWN = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _DType,
    }

    def find_class(self, module: str, name: str) -> type:
        """Called by the pickle for each global it names."""
        known = self._KNOWN.get((module, name))
        if known is None:
            raise pickle.UnpicklingError(f"a batch names {module}.{name}")
        return known
