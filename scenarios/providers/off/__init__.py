"""The control: does all that our own provider does on a backend, except for the swapping.

It may import: the other providers, whose classes it derives from, and what those may.
"""

import importlib
import typing

from common.phase import Phase
from providers.interface import Provider


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase's backend and mode."""
    module: typing.Any = importlib.import_module("providers.off." + phase.backend)
    control: typing.Type[Provider] = module.choose(phase)
    return control
