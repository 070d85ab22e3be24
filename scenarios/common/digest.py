"""Digests over values as the session holds them, never over files."""

import hashlib

from . import function_step, marker


def of_arrays(arrays):
    """SHA-256 over the shapes, dtypes and bytes of numpy arrays, in their order; hex digits.

    Bytes are little-endian and in C order, so equal values have equal digests on any machine.
    """
    import numpy as np

    digest = hashlib.sha256()
    for array in arrays:
        plain = np.asarray(array, order="C")
        plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        digest.update("{}{};".format(plain.dtype.str, plain.shape).encode("ascii"))
        digest.update(plain.tobytes())
    return digest.hexdigest()


def weights(runtime, model, stage):
    """Marks the digest of a model's weights, in the order of `model.weights`.

    stage: `'saved'`, `'restored'` or `'final'`.
    """
    _emit("weights", stage, values(runtime, model.weights))


def optimizer(runtime, model, stage):
    """Marks the digest of the optimizer's state: slots, and its step where it keeps one."""
    variables = optimizer_variables(model)
    _emit("optimizer", stage, values(runtime, variables))


def arrays(of, stage, values):
    """Marks the digest of numpy arrays, where there is no Keras model to ask.

    of: `'weights'` or `'optimizer'`.
    """
    _emit(of, stage, values)


def predictions(values, stage):
    """Marks the digest of predictions, float [n, classes], together with the numbers."""
    _emit("predictions", stage, [values], values=[float(value) for value in values.ravel()])


def model_predictions(runtime, model, x, stage):
    """Marks the digest of what a Keras model predicts for a batch.

    In function mode the signature is that of any `predict`: one of its own would be one trace more.
    """
    if runtime.phase.mode == "session":
        predictions(model.predict_on_batch(x), stage)
    else:
        predictions(function_step.predict(model, x), stage)


def optimizer_variables(model):
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


def values(runtime, variables):
    """The values of variables, as numpy arrays."""
    if runtime.phase.keras3:
        to_numpy = runtime.keras.ops.convert_to_numpy
        return [to_numpy(variable.value) for variable in variables]
    if runtime.phase.mode == "session":
        return runtime.keras.backend.batch_get_value(variables)
    return [variable.numpy() for variable in variables]


def _emit(of, stage, arrays, **fields):
    marker.emit(
        "digest",
        of=of,
        stage=stage,
        sha256=of_arrays(arrays),
        tensors=len(arrays),
        bytes=sum(array.nbytes for array in arrays),
        **fields,
    )
