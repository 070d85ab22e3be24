"""Inference with the function of a loaded SavedModel: on one accelerator, or on all replicas."""

import typing

from common import marker
from families.distribute.mnist_cnn import MnistCnn
from workload import inference, signature

# How far two logits may differ.
_TOLERANCE = 1e-5


def run(mnist: MnistCnn, inference_func: typing.Any) -> None:
    """Predicts the test images as loaded, and with LMS; marks accuracy, predictions, one step."""
    dataset = mnist.predict_dataset
    logits = [_only(inference_func(batch)).numpy() for batch in dataset]
    body = signature.body(mnist.tf, inference_func)
    _finish(mnist, logits, body, dataset, lambda result: result.numpy())


def distributed(mnist: MnistCnn, strategy: typing.Any, inference_func: typing.Any) -> None:
    """The same on the replicas of a strategy, in whose scope the function was loaded.

    Claims that every replica computed its share.
    """
    import numpy as np

    dataset = strategy.experimental_distribute_dataset(mnist.predict_dataset)
    results = [_only(strategy.run(inference_func, args=(batch,))) for batch in dataset]
    shares = strategy.experimental_local_results(results[0])
    images = mnist.batch_size // mnist.replicas
    marker.claim("images that a replica infers", images, len(shares[-1]))
    expected = [device.lstrip("/") for device in mnist.phase.accelerator_devices]
    found = [share.device.rpartition("/")[2] for share in shares]
    marker.claim("devices that infer", ", ".join(expected), ", ".join(found))
    body = signature.body(mnist.tf, inference_func)

    def gathered(result: typing.Any) -> typing.Any:
        local = strategy.experimental_local_results(result)
        return np.concatenate([share.numpy() for share in local])

    logits = [gathered(result) for result in results]
    _finish(mnist, logits, lambda batch: strategy.run(body, args=(batch,)), dataset, gathered)


def _only(results: typing.Dict[str, typing.Any]) -> typing.Any:
    (result,) = results.values()
    return result


def _finish(
    mnist: MnistCnn,
    logits: typing.List[typing.Any],
    body: inference.Body,
    dataset: typing.Any,
    gathered: inference.Body,
) -> None:
    """logits: arrays of each batch. body: does the same to a batch, traced for LMS."""
    import numpy as np

    expected = np.concatenate(logits)
    mnist.finish_inference(expected)
    inference.infer(mnist, body, dataset, len(logits), expected, gathered, _TOLERANCE)
