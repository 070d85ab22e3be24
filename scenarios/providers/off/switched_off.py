"""For a canary: a provider that is switched off, and still says that it is on."""

import typing

from providers.announcement import Swaps
from providers.interface import Provider


def claiming(
    control: typing.Type[Provider], provider: typing.Type[Provider]
) -> typing.Type[Provider]:
    """The control of a phase, which announces what the provider would: one thing a layer."""

    class SwitchedOff(control):  # type: ignore[misc, valid-type]
        name = provider.name
        effect = provider.effect

        def set_model(self, model: typing.Any) -> None:
            super().set_model(model)
            if self.is_training and not getattr(self, "_claimed", False):
                self._claimed = True
                # A model without Keras has modules.
                layers = model.layers if hasattr(model, "layers") else list(model.children())
                count = len(layers)
                moved = Swaps(count, count, None, None)
                again = Swaps(0, 0, None, None, recomputed=count)
                self.announce(again if provider.effect == "recomputes" else moved)

    return SwitchedOff
