"""An ONNX file of an image classifier, read and evaluated by nothing but the `onnx` package."""

import platform
import typing

from common import marker
from common.errors import refuse


class OnnxFile:
    """The model in an ONNX file.

    A file that is none ends the process with exit code 2 and one line.
    """

    def __init__(self, path: str) -> None:
        import onnx
        from google.protobuf.message import DecodeError

        try:
            self._model = onnx.load(path)
            onnx.checker.check_model(self._model)
        except (OSError, DecodeError, onnx.checker.ValidationError) as problem:
            refuse(f"{path}: no ONNX model: {problem}")

    def weights(self) -> typing.List[typing.Any]:
        """The weights as Keras holds them, numpy arrays, in the order of the layers.

        ONNX has the kernel of a convolution as [out, in, height, width], Keras as [height, width,
        in, out]. A bias is [1, 1, 1, n] beside a convolution.
        """
        from onnx import numpy_helper

        arrays = [numpy_helper.to_array(entry) for entry in self._model.graph.initializer]
        return [_as_in_keras(array) for array in arrays]

    def predict(self, images: typing.Any) -> typing.Any:
        """Predictions, float32 [n, classes], of images, float32 [n, height, width, colours]."""
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(self._model)
        (name,) = evaluator.input_names
        (predictions,) = evaluator.run(None, {name: images})
        return predictions


def _as_in_keras(array: typing.Any) -> typing.Any:
    if array.size == array.shape[-1]:
        return array.reshape(-1)
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def report(data: str) -> None:
    """Marks the environment, and why nothing is swapped. data: which data set is used."""
    import numpy as np
    import onnx

    marker.emit(
        "environment",
        versions={"onnx": onnx.__version__, "numpy": np.__version__},
        devices=["cpu"],
        python=platform.python_version(),
        data=data,
    )
    marker.note("ONNX's reference implementation infers: no Keras and no backend, nothing to swap")
