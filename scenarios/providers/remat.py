"""The foreign provider `keras.RematScope`: Keras' own rematerialisation, on every backend.

Layers that are made in the scope keep no activations of their own for the backward pass: their
forward pass is computed again there. Nothing moves. What says so is an attribute of a layer that no
file holds, so a model that is loaded has to be made in the scope as well (known defect
`remat-scope-lost`).
"""

import typing

from common.runtime import Runtime
from providers.announcement import Swaps
from providers.interface import Provider


class Remat(Provider):
    """Makes the layers of a model in a scope, and says how many have kept it."""

    name = "remat"
    modes = ("function", "eager")
    backends = ("tensorflow", "torch", "jax")
    roles = ("train",)
    requires = ("keras3",)
    effect = "recomputes"
    # XLA fuses what is computed again with other neighbours. On torch the bits are the same.
    rounds = True

    @classmethod
    def building(cls, runtime: Runtime) -> typing.ContextManager[typing.Any]:
        """Keras' scope in which every layer is rematerialised."""
        scope: typing.ContextManager[typing.Any] = runtime.keras.RematScope(mode="full")
        return scope

    def set_model(self, model: typing.Any) -> None:
        """Says how many layers are computed again, by the model that is about to be trained."""
        super().set_model(model)
        if self.is_training and not getattr(self, "_announced", False):
            self._announced = True
            inputs = self._runtime.keras.layers.InputLayer  # it computes nothing
            layers = [
                entry
                for entry in model._flatten_layers()
                if not entry._layers and not isinstance(entry, inputs)
            ]
            again = [entry for entry in layers if getattr(entry, "_remat_mode", None)]
            self.announce(Swaps(0, 0, None, None, recomputed=len(again)))
