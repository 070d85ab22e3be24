"""The foreign provider TFLMS: the package `tensorflow_large_model_support` 2.

It may import: `providers`' own modules, the graph editor's of `providers.tensorflow`.
"""

import typing

from common.phase import Phase
from providers.interface import Provider
from providers.tflms.adapter import Adapter


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase."""
    return Adapter
