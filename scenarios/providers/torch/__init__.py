"""Our own provider for Keras 3 on torch: moves what autograd saves to host memory and back.

It may import: `providers`' own modules and what those may.
"""

import typing

from common.phase import Phase
from providers.fault import Fault
from providers.interface import Provider
from providers.torch import broken
from providers.torch.saved_tensors import SavedTensorSwapper


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase."""
    return SavedTensorSwapper if phase.fault is None else broken.choose(Fault.parse(phase.fault))
