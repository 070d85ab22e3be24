"""Inference by the body of a loaded function, which LMS edits.

LMS edits a traced function, and what is traced of a restored one is the operation that calls it.
So LMS is shown its body, written out by `signature`. That this computes what the function does is
a claim.
"""

import typing

from common import digest, marker, steps
from meters import trace
from workload.keras_model import FIXED_BATCH
from workload.workload import Workload

Body = typing.Callable[[typing.Any], typing.Any]


def infer(
    workload: Workload,
    body: Body,
    dataset: typing.Any,
    batches: int,
    expected: typing.Any,
    gathered: Body,
    tolerance: float,
) -> None:
    """Predicts by a body with LMS; marks the predictions and one step.

    body: what is traced, of one batch. dataset, batches: the batches, and how many.
    expected: what the function predicts for all of them as it was loaded, numpy [images, classes].
    gathered: makes numpy arrays of what the body returns.
    tolerance: how far two predictions may differ, in their own unit.
    """
    import numpy as np

    # The batch is made in the step: an argument of a function is not the step's to swap.
    traced = workload.lms(training=False).function(lambda iterator: body(next(iterator)))
    counter = workload.runtime.steps
    iterator = iter(dataset)
    by_body = np.concatenate([gathered(traced(iterator)) for _ in range(batches)])
    counter.ran("predict", batches)
    same = np.allclose(by_body, expected, rtol=1e-4, atol=tolerance)
    marker.claim("the body that LMS edits computes what the signature does", True, bool(same))
    digest.predictions(by_body[:FIXED_BATCH], "final")

    def one_step() -> None:
        gathered(traced(iter(dataset)))

    step_ms = steps.timed(counter.counted("predict", one_step))
    batch = workload.batch_size
    trace.function(workload.runtime, "predict", traced, one_step, step_ms, batch)
