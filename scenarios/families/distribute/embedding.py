"""What training a model does to an object that was loaded and is a layer of it."""

import contextlib
import typing

from common import marker


@contextlib.contextmanager
def claimed(model: typing.Any, loaded: typing.Any) -> typing.Iterator[None]:
    """Claims that what runs in this context trains the loaded object's own variables."""
    variables = len(loaded.variables)
    trainable = len(model.trainable_weights)
    marker.claim("trainable weights of the model around it", variables, trainable)
    marker.note(
        "the loaded layer is one call in the train function and one in its gradient: what goes from"
        " one to the other is swapped, but the second needs all of it at once, so the peak need"
        " not fall"
    )
    old = [entry.numpy() for entry in loaded.variables]
    yield
    new = [entry.numpy() for entry in loaded.variables]
    changed = sum(bool((one != other).any()) for one, other in zip(old, new))
    marker.claim("variables of the loaded object that training changed", variables, changed)
