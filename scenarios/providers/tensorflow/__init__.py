"""Our own provider for TensorFlow: edits the graph of a session, or each traced function.

It may import: `providers`' own modules and what those may.
"""

import typing

from common.phase import Phase
from providers.fault import Fault
from providers.interface import Provider
from providers.tensorflow import broken
from providers.tensorflow.function import FunctionEditor
from providers.tensorflow.session import SessionEditor


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase's mode and fault."""
    if phase.fault is not None:
        return broken.choose(Fault.parse(phase.fault), phase.mode)
    return FunctionEditor if phase.mode == "function" else SessionEditor
