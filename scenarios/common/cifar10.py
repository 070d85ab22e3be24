"""The published CIFAR-10 archive, read without trusting its pickles.

The archive is a compressed tar of Python 2 pickles: `data_batch_1` to `data_batch_5` and
`test_batch`, each a dict with `data`, uint8 [10000, 3072], red, green and blue plane after each
other, and `labels`, a list of 10000 numbers (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import os
import pickle
import tarfile

FILE = "cifar-10-python.tar.gz"
SIDE = 32
COLOURS = 3
CLASSES = 10
# The published batches have 31 MB.
_LARGEST_MEMBER = 64 * 2**20


def read(path, train, test):
    """The first images of the archive, in its order.

    train, test: how many images at most. Returns `(images, labels)` of each: uint8
    [n, 32, 32, 3] and uint8 [n].

    Raises ValueError with one line where the file is no such archive.
    """
    wanted = {"data_batch_": train, "test_batch": test}
    parts = {kind: [] for kind in wanted}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                kind = _kind(member)
                if kind is None or wanted[kind] <= 0:
                    continue
                images, labels = _batch(archive, member)
                parts[kind].append((images[: wanted[kind]], labels[: wanted[kind]]))
                wanted[kind] -= len(parts[kind][-1][1])
                if max(wanted.values()) <= 0:
                    break  # the rest need not be unpacked
    except Exception as problem:  # a damaged or hostile pickle can raise any
        raise ValueError("{}: no CIFAR-10 archive: {}".format(path, problem or repr(problem)))
    for kind in sorted(parts):
        if not parts[kind]:
            raise ValueError("{}: no CIFAR-10 archive: no {}*".format(path, kind))
    return _joined(parts["data_batch_"]), _joined(parts["test_batch"])


def _kind(member):
    name = os.path.basename(member.name)
    if not member.isfile():
        return None
    return next((kind for kind in ("data_batch_", "test_batch") if name.startswith(kind)), None)


def _batch(archive, member):
    """Images and labels of one pickle."""
    import numpy as np

    if member.size > _LARGEST_MEMBER:
        raise ValueError("{} has {} bytes".format(member.name, member.size))
    content = _Unpickler(archive.extractfile(member), encoding="bytes").load()
    if not isinstance(content, dict):
        raise ValueError("{} is no dict".format(member.name))
    values, labels = content.get(b"data"), content.get(b"labels")
    if not isinstance(values, _Array) or not isinstance(labels, list):
        raise ValueError("{} has no data and labels".format(member.name))
    if any(type(label) is not int or not 0 <= label < CLASSES for label in labels):
        raise ValueError("{} has labels beyond 0 to {}".format(member.name, CLASSES - 1))
    planes = np.frombuffer(values.content, np.uint8)
    planes = planes.reshape(len(labels), COLOURS, SIDE, SIDE)
    return planes.transpose(0, 2, 3, 1), np.array(labels, np.uint8)


def _joined(parts):
    import numpy as np

    images, labels = zip(*parts)
    return np.ascontiguousarray(np.concatenate(images)), np.concatenate(labels)


class _DType(object):
    """Stands for the type of an array; only bytes are taken."""

    def __init__(self, code, *arguments):
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError("an array of {!r}".format(code))

    def __setstate__(self, state):
        pass


class _Array(object):
    """Stands for an array: its bytes."""

    content = b""

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
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

    def find_class(self, module, name):
        """Called by the pickle for each global it names."""
        known = self._KNOWN.get((module, name))
        if known is None:
            raise pickle.UnpicklingError("a batch names {}.{}".format(module, name))
        return known
