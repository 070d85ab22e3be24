"""What the tutorial says of a Keras model that was loaded, as claims."""

import typing

from common import marker


def claim(model: typing.Any, replicas: int, strategy: typing.Optional[str] = None) -> None:
    """Claims that the model needs no `Model.compile`, and which strategy it has.

    replicas: how many accelerators it has to train on. strategy: name of the class of the strategy
        in whose scope it was loaded; None without one.
    """
    marker.claim("the restored model has its optimizer and loss", True, model.optimizer is not None)
    found = model.distribute_strategy
    marker.claim("replicas of the restored model", replicas, found.num_replicas_in_sync)
    if strategy is not None:
        marker.claim("strategy of the restored model", strategy, type(found).__name__)


def note_fresh_optimizer(model: typing.Any) -> None:
    """Notes where the optimizer of a loaded model starts anew: it was saved after some steps."""
    if int(model.optimizer.iterations.numpy()) == 0:
        marker.note("load_model gives a SavedModel's optimizer no state: it starts again at step 0")
