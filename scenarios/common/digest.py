"""Digests over values as the session holds them, never over files.

A reference marks none of what is restored. It computes them as any phase does: that the model has
run by then is a part of what is compared.
"""

import hashlib
import typing

from common import marker, steps
from common.phase import is_reference
from common.runtime import Runtime

# numpy arrays, or what numpy makes one of.
Arrays = typing.Iterable[typing.Any]


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


def arrays(of: str, stage: str, values: typing.Sequence[typing.Any]) -> None:
    """Marks the digest of numpy arrays.

    of: `'weights'` or `'optimizer'`. stage: `'saved'`, `'restored'` or `'final'`.
    """
    _emit(of, stage, values)


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


def values(runtime: Runtime, variables: typing.Sequence[typing.Any]) -> typing.Sequence[typing.Any]:
    """The values of variables of a Keras model, as numpy arrays."""
    if runtime.phase.keras3:
        to_numpy = runtime.keras.ops.convert_to_numpy
        return [to_numpy(variable.value) for variable in variables]
    if runtime.phase.mode == "session":
        held: typing.List[typing.Any] = runtime.keras.backend.batch_get_value(variables)
        return held
    return [variable.numpy() for variable in variables]


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
