"""Our own provider for Keras 3 on jax: an offload policy of `jax.checkpoint`.

It may import: `providers`' own modules and what those may.
"""

import typing

from common.phase import Phase
from providers.interface import Provider
from providers.jax.dry_run import DryRun
from providers.jax.policy import OffloadPolicy


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase."""
    return DryRun if phase.pretend else OffloadPolicy
