"""Digests over values as the session holds them, never over files.

A reference marks none of what is restored. It computes them as any phase does: that the model has
run by then is a part of what is compared.
"""

import functools
import hashlib
import typing

from common import marker, steps
from common.phase import is_reference
from common.runtime import Runtime

# numpy arrays, or what numpy makes one of.
Arrays = typing.Iterable[typing.Any]

# Of more tensors than that none is told one by one. A line of a log has 1 MiB at most.
_EACH_LIMIT, _NAME_LIMIT = 2_000, 100
_SEED = 20190802
_BLOCK, _PROJECTIONS = 4_096, 8


class Tensors(typing.NamedTuple):
    """Tensors as the framework holds them, in its order. values: numpy. names: the framework's."""

    values: typing.Sequence[typing.Any]
    names: typing.Sequence[str]


def of_arrays(arrays: Arrays) -> str:
    """SHA-256 over the shapes, dtypes and bytes of numpy arrays, in their order; hex digits.

    Bytes are little-endian and in C order, so equal values have equal digests on any machine.
    """
    import numpy as np

    digest = hashlib.sha256()
    for array in arrays:
        plain = np.asarray(array, order="C")
        plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{plain.dtype.str}{plain.shape};".encode("ascii"))
        digest.update(plain.tobytes())
    return digest.hexdigest()


def arrays(
    of: str,
    stage: str,
    values: typing.Sequence[typing.Any],
    names: typing.Optional[typing.Sequence[str]] = None,
) -> None:
    """Marks the digest of numpy arrays, of all and of each.

    of: `'weights'`, `'optimizer'` or `'random'`, the state of random generators. stage: `'saved'`,
    `'restored'` or `'final'`. names: of the arrays, by default their numbers.
    """
    fields = {}
    if len(values) <= _EACH_LIMIT:
        named = [str(number) for number in range(len(values))] if names is None else names
        fields["each"] = [_told(name, value) for name, value in zip(named, values)]
    _emit(of, stage, values, **fields)


def tensors(of: str, stage: str, told: Tensors) -> None:
    """Marks the digest of tensors by their names; see `arrays`."""
    arrays(of, stage, told.values, told.names)


def projections(array: typing.Any) -> typing.Optional[typing.List[float]]:
    """Eight sums of an array's numbers under random signs, the same in every process.

    The difference of two arrays is known from those of their sums, without the other array: the
    mean of their squares is about the sum of its squares (Alon, Matias and Szegedy 1996, "The
    space complexity of approximating the frequency moments").

    None for what holds no numbers.
    """
    import numpy as np

    plain = np.asarray(array)
    if plain.dtype.kind not in "biuf" and plain.dtype.name != "bfloat16":
        return None
    # A number's sign is that of its place in its block times that of its block.
    blocks = -(-plain.size // _BLOCK)
    numbers = np.zeros(blocks * _BLOCK)
    numbers[: plain.size] = plain.ravel()
    within = _signs(_SEED, _BLOCK) @ numbers.reshape(blocks, _BLOCK).T
    return [float(value) for value in (within * _signs(_SEED + 1, blocks)).sum(axis=1)]


@functools.lru_cache(maxsize=64)
def _signs(seed: int, count: int) -> typing.Any:
    """Signs, float64 [projections, count]; numpy keeps this generator's numbers for ever."""
    import numpy as np

    drawn = np.random.RandomState(seed).randint(0, 2, (count, _PROJECTIONS))
    return (drawn * 2.0 - 1.0).T


def _told(name: str, value: typing.Any) -> typing.Dict[str, typing.Any]:
    import numpy as np

    return {
        "name": _short(name),
        "shape": list(np.shape(value)),
        "sha256": of_arrays([value]),
        "projections": projections(value),
    }


def _short(name: str) -> str:
    """A name as ASCII, in its two ends where it is long: as many as there are fit on a line."""
    plain = name.encode("ascii", "replace").decode("ascii")
    half = _NAME_LIMIT // 2 - 2
    return plain if len(plain) <= _NAME_LIMIT else plain[:half] + "..." + plain[-half:]


def predictions(values: typing.Any, stage: str) -> None:
    """Marks the digest of predictions, float [n, classes], together with the numbers."""
    _emit("predictions", stage, [values], values=[float(value) for value in values.ravel()])


def optimizer_variables(model: typing.Any) -> typing.List[typing.Any]:
    """The variables of a model's optimizer, in their order; none before it has a train function.

    A `tf.train.Optimizer` is wrapped by Keras and asked itself. The optimizers of Keras 2.11 and
    later have their step among their variables, and the learning rate is added where it is none of
    them.
    """
    optimizer = getattr(model, "optimizer", None)
    wrapped = getattr(optimizer, "optimizer", None)
    if wrapped is not None:
        return list(wrapped.variables())
    variables = getattr(optimizer, "variables", None)
    if isinstance(variables, (list, tuple)):  # a method in optimizers of before
        rate = getattr(optimizer, "learning_rate", None)
        added = hasattr(rate, "assign") and not any(rate is variable for variable in variables)
        return list(variables) + ([rate] if added else [])
    return list(getattr(optimizer, "weights", None) or ())


def of_variables(runtime: Runtime, variables: typing.Sequence[typing.Any]) -> Tensors:
    """What variables of a Keras model hold."""
    if runtime.phase.keras3:
        to_numpy = runtime.keras.ops.convert_to_numpy
        paths = [variable.path for variable in variables]
        return Tensors([to_numpy(variable.value) for variable in variables], paths)
    # An eager tensor has no name, and asking for it raises AttributeError.
    names = [getattr(entry, "name", str(number)) for number, entry in enumerate(variables)]
    if runtime.phase.mode == "session":
        return Tensors(runtime.keras.backend.batch_get_value(variables), names)
    return Tensors([variable.numpy() for variable in variables], names)


def predicted(runtime: Runtime, model: typing.Any, x: typing.Any) -> typing.Any:
    """What a Keras model predicts for a batch, numpy.

    In function mode the signature is that of any `predict`: one of its own would be one trace more.
    """
    if runtime.phase.mode == "session":
        return model.predict_on_batch(x)
    return steps.predict(model, x)


def _emit(of: str, stage: str, arrays: typing.Sequence[typing.Any], **fields: typing.Any) -> None:
    if stage == "restored" and is_reference():
        return  # nothing was
    marker.emit(
        "digest",
        of=of,
        stage=stage,
        sha256=of_arrays(arrays),
        tensors=len(arrays),
        bytes=sum(array.nbytes for array in arrays),
        **fields,
    )
