"""What the tutorial says of a Keras model that was loaded, as claims."""

from common import claim
from families.distribute import mnist_cnn


def state(model, replicas, strategy=None):
    """States that the model needs no `Model.compile`, and which strategy it has.

    replicas: how many accelerators it has to train on. strategy: name of the class of the strategy
        in whose scope it was loaded; None without one.
    """
    claim.state("the restored model has its optimizer and loss", True, model.optimizer is not None)
    found = model.distribute_strategy
    claim.state("replicas of the restored model", replicas, found.num_replicas_in_sync)
    if strategy is not None:
        claim.state("strategy of the restored model", strategy, type(found).__name__)


def note_fresh_optimizer(model):
    """Notes where the optimizer of a loaded model starts anew: it was saved after some steps."""
    if int(model.optimizer.iterations.numpy()) == 0:
        mnist_cnn.note(
            "load_model gives a SavedModel's optimizer no state: it starts again at step 0"
        )
