"""Inference with the function of a loaded SavedModel: on one accelerator, or on all replicas.

LMS edits a traced function, and what is traced of a restored one is the operation that calls it.
So LMS is given its body, written out. That this computes what the function does is a claim.
"""

from common import claim, digest, function_step, step
from families.distribute import mnist_cnn, signature


def run(mnist, inference_func):
    """Predicts the test images as loaded, and with LMS; marks accuracy, predictions, one step."""
    logits = [_only(inference_func(batch)).numpy() for batch in mnist.predict_dataset]
    body = signature.body(mnist.tf, inference_func)
    _finish(mnist, logits, body, mnist.predict_dataset, lambda result: result.numpy())


def distributed(mnist, strategy, inference_func):
    """The same on the replicas of a strategy, in whose scope the function was loaded.

    States that every replica computed its share.
    """
    dataset = strategy.experimental_distribute_dataset(mnist.predict_dataset)
    results = [_only(strategy.run(inference_func, args=(batch,))) for batch in dataset]
    parts = strategy.experimental_local_results(results[0])
    claim.state("images that a replica infers", mnist_cnn.BATCH_SIZE_PER_REPLICA, len(parts[-1]))
    expected = [device.lstrip("/") for device in mnist.runtime.phase.accelerator_devices]
    found = [part.device.rpartition("/")[2] for part in parts]
    claim.state("devices that infer", ", ".join(expected), ", ".join(found))
    body = signature.body(mnist.tf, inference_func)

    def gathered(result):
        import numpy as np

        local = strategy.experimental_local_results(result)
        return np.concatenate([part.numpy() for part in local])

    _finish(
        mnist,
        [gathered(result) for result in results],
        lambda batch: strategy.run(body, args=(batch,)),
        dataset,
        gathered,
    )


def _only(results):
    (result,) = results.values()
    return result


def _finish(mnist, logits, body, dataset, gathered):
    """logits: arrays of each batch. body: does the same to a batch, traced for LMS."""
    import numpy as np

    mnist.finish_inference(np.concatenate(logits))
    # The batch is made in the step: an argument of a function is not the step's to swap.
    traced = mnist.lms(training=False).function(lambda iterator: body(next(iterator)))
    iterator = iter(dataset)
    by_body = np.concatenate([gathered(traced(iterator)) for _ in logits])
    same = np.allclose(by_body, np.concatenate(logits), rtol=1e-4, atol=1e-5)
    claim.state("the body that LMS edits computes what the signature does", True, bool(same))
    digest.predictions(by_body[: mnist_cnn.FIXED_BATCH], "final")

    def one_step():
        gathered(traced(iter(dataset)))

    step_ms = function_step.timed(one_step)
    step.trace_function(mnist.runtime, "predict", traced, one_step, step_ms)
