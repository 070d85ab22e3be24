"""Inference with the SavedModel that `model.export` wrote, and the evidence of it.

LMS edits a traced function, and what is traced of a restored one is the operation that calls it.
So LMS is given its body, written out. That this computes what the function does is a claim.
"""

from common import claim, digest, function_step, history, step
from families.distribute import signature
from families.keras_saveload import mnist_cnn

SIGNATURE = "serving_default"


def infer(mnist, loaded):
    """Predicts the test images as loaded, and with LMS; marks weights, predictions, one step.

    mnist: a `MnistCnn`. loaded: of `tf.saved_model.load`.
    """
    import numpy as np

    inference_func = loaded.signatures[SIGNATURE]
    # The states of the dropouts' seeds are in the file too. They are no weights.
    weights = [variable.numpy() for variable in loaded.trainable_variables]
    digest.arrays("weights", "restored", weights)
    digest.predictions(_as_loaded(mnist, inference_func, _fixed_batch(mnist)), "restored")
    dataset = mnist.tf.data.Dataset.from_tensor_slices(mnist.x_test).batch(mnist.batch_size)
    expected = np.concatenate([_as_loaded(mnist, inference_func, batch) for batch in dataset])
    _mark_accuracy(mnist, expected)

    body = signature.body(mnist.tf, inference_func)
    # The batch is made in the step: an argument of a function is not the step's to swap.
    traced = mnist.lms(training=False).function(lambda iterator: body(next(iterator)))
    iterator = iter(dataset)
    by_body = np.concatenate([traced(iterator).numpy() for _ in dataset])
    same = np.allclose(by_body, expected, rtol=1e-4, atol=1e-6)
    claim.state("the body that LMS edits computes what the signature does", True, bool(same))
    digest.predictions(by_body[: mnist_cnn.FIXED_BATCH], "final")

    def one_step():
        traced(iter(dataset)).numpy()

    step_ms = function_step.timed(one_step)
    step.trace_function(mnist.runtime, "predict", traced, one_step, step_ms)


def compare_layer(mnist, loaded, layer):
    """States that a Keras layer made of the SavedModel predicts what its signature does.

    layer: a `TFSMLayer`.
    """
    import numpy as np

    images = _fixed_batch(mnist)
    by_layer = mnist.keras.ops.convert_to_numpy(layer(images))
    same = np.array_equal(by_layer, _as_loaded(mnist, loaded.signatures[SIGNATURE], images))
    claim.state("TFSMLayer predicts what the signature does", True, bool(same))


def _fixed_batch(mnist):
    return mnist.x_test[: mnist_cnn.FIXED_BATCH]


def _as_loaded(mnist, inference_func, images):
    """Predictions, numpy [images, 10], of the function as it was loaded."""
    (predictions,) = inference_func(mnist.tf.constant(images)).values()
    return predictions.numpy()


def _mark_accuracy(mnist, predictions):
    hits = predictions.argmax(axis=1) == mnist.y_test.argmax(axis=1)
    print("Test accuracy: {}".format(hits.mean()))
    history.emit_metrics({"accuracy": hits.mean()}, epoch=mnist_cnn.EPOCHS, split="test")
