"""Our own provider for Keras 3 on jax: an offload policy of `jax.checkpoint`.

It may import: `providers`' own modules and what those may.
"""

import typing

from common.phase import Phase
from providers.fault import Fault
from providers.interface import Provider
from providers.jax import broken
from providers.jax.policy import OffloadPolicy


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase."""
    return OffloadPolicy if phase.fault is None else broken.choose(Fault.parse(phase.fault))
