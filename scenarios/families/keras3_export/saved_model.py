"""Inference with the SavedModel that `model.export` wrote."""

import typing

from common import digest, marker
from families.keras_saveload.mnist_cnn import MnistCnn
from workload import inference, signature

SIGNATURE = "serving_default"
# How far two predicted probabilities may differ.
_TOLERANCE = 1e-6


def infer(mnist: MnistCnn, loaded: typing.Any) -> None:
    """Predicts the test images as loaded, and with LMS; marks weights, predictions, one step.

    loaded: of `tf.saved_model.load`.
    """
    import numpy as np

    inference_func = loaded.signatures[SIGNATURE]
    # The states of the dropouts' seeds are in the file too. They are no weights.
    weights = [variable.numpy() for variable in loaded.trainable_variables]
    digest.arrays("weights", "restored", weights)
    digest.predictions(_as_loaded(mnist, inference_func, mnist.fixed_batch), "restored")
    dataset = mnist.tf.data.Dataset.from_tensor_slices(mnist.x_test).batch(mnist.batch_size)
    predicted = [_as_loaded(mnist, inference_func, batch) for batch in dataset]
    expected = np.concatenate(predicted)
    mnist.mark_accuracy(expected)
    body = signature.body(mnist.tf, inference_func)
    inference.infer(
        mnist,
        body,
        dataset,
        len(predicted),
        expected,
        lambda result: result.numpy(),
        _TOLERANCE,
    )


def compare_layer(mnist: MnistCnn, loaded: typing.Any, path: str) -> None:
    """Claims that a Keras layer made of the SavedModel predicts what its signature does."""
    import numpy as np

    if mnist.phase.reference:
        return  # there is no SavedModel
    layer = mnist.keras.layers.TFSMLayer(path, call_endpoint="serve")
    images = mnist.fixed_batch
    by_layer = mnist.keras.ops.convert_to_numpy(layer(images))
    same = np.array_equal(by_layer, _as_loaded(mnist, loaded.signatures[SIGNATURE], images))
    marker.claim("TFSMLayer predicts what the signature does", True, bool(same))


def _as_loaded(mnist: MnistCnn, inference_func: typing.Any, images: typing.Any) -> typing.Any:
    """Predictions, numpy [images, 10], of the function as it was loaded."""
    (predictions,) = inference_func(mnist.tf.constant(images)).values()
    return predictions.numpy()
