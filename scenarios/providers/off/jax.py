"""The control on jax: a fresh step, as with LMS, and no policy over it."""

import typing

from common.phase import Phase
from providers.interface import Provider
from providers.jax.policy import OffloadPolicy


class PolicyControl(OffloadPolicy):
    """Makes Keras trace a step of its own as well, with no policy and no moves."""

    def run(self, graph: typing.Any = None) -> None:
        """Nothing to say of what the control would not do anyway."""

    def _apply(self, model: typing.Any) -> None:
        original = model.train_step

        def train_step(state: typing.Any, data: typing.Any) -> typing.Any:
            return original(state, data)

        self._renew(model, train_step)


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase."""
    return PolicyControl
