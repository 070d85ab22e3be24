"""A pretrained SavedModel: which one, a batch for its signature, what it computes."""

import os
import typing

from common import digest
from common.errors import refuse, unavailable
from common.phase import Phase
from families.tf_serialization import savedmodel

DIRECTORY = "pretrained"
_ROWS = 8
_SIDE = 32  # stands in for a dimension that the signature leaves open
_SEED = 3


def source(phase: Phase) -> str:
    """Directory of the SavedModel: PRETRAINED_MODEL below DATA_DIR, by default `pretrained`.

    The phase sees no other directory of the user's. Without one there, the SavedModel of the
    earlier phase.
    """
    named = os.environ.get("PRETRAINED_MODEL", "").strip()
    path = os.path.join(phase.data_directory or "", named or DIRECTORY)
    if phase.data_directory and os.path.isfile(os.path.join(path, "saved_model.pb")):
        return path
    if named:
        unavailable(f"PRETRAINED_MODEL is {named!r}; DATA_DIR has no SavedModel there")
    return phase.input(savedmodel.DIRECTORY)


def loader(phase: Phase) -> typing.Union[savedmodel.Loader, savedmodel.Built]:
    """The SavedModel that the earlier phase handed on.

    In a reference no variable gets a value of a file. The graph of one in DATA_DIR is loaded all
    the same: nothing else defines it.
    """
    if not phase.reference:
        return savedmodel.Loader(phase.input(DIRECTORY))
    path = source(phase)
    if path == phase.input(savedmodel.DIRECTORY):
        return savedmodel.Built()
    return savedmodel.InitialLoader(path)


def batch(tf: typing.Any, signature: typing.Any) -> typing.Dict[str, typing.Any]:
    """A batch for a signature: key of the input → numpy array, the same in every run.

    Its rows go from all zeros to numbers from 0 to 10.
    """
    import numpy as np

    random = np.random.RandomState(_SEED)
    arrays = {}
    for key, info in sorted(signature.inputs.items()):
        dtype = tf.as_dtype(info.dtype)
        dimensions = [dimension.size for dimension in info.tensor_shape.dim]
        if info.tensor_shape.unknown_rank or not dimensions:
            refuse(f"input {key!r} of the SavedModel is no batch of arrays")
        if not (dtype.is_floating or dtype.is_integer):
            refuse(f"input {key!r} of the SavedModel is {dtype.name}, not numbers")
        shape = [_ROWS if dimensions[0] < 0 else dimensions[0]]
        shape += [_SIDE if size < 0 else size for size in dimensions[1:]]
        rising = np.linspace(0.0, 10.0, shape[0]).reshape([-1] + [1] * (len(shape) - 1))
        arrays[key] = (random.uniform(size=shape) * rising).astype(dtype.as_numpy_dtype)
    return arrays


class Model:
    """The tensors of a signature in a graph.

    key: of the first output, the one that is looked at. output: its tensor. feed: tensors → the
    arrays of `batch`.
    """

    def __init__(self, tf: typing.Any, graph: typing.Any, signature: typing.Any) -> None:
        self.key, info = sorted(signature.outputs.items())[0]
        self.output = graph.get_tensor_by_name(info.name)
        self.feed = {
            graph.get_tensor_by_name(signature.inputs[key].name): array
            for key, array in batch(tf, signature).items()
        }
        self._variables = tf.global_variables()

    def digest(self, session: typing.Any, stage: str) -> typing.Any:
        """Marks the weights and the output for the batch; returns the output."""
        digest.arrays("weights", stage, session.run(self._variables))
        output = session.run(self.output, self.feed)
        digest.predictions(output.astype("float32"), stage)
        return output
