"""The control on TensorFlow: the same sessions and functions, with no edit of their graphs."""

import typing

from common.phase import Phase
from providers.interface import Provider
from providers.tensorflow.function import FunctionEditor
from providers.tensorflow.session import SessionEditor


class SessionControl(SessionEditor):
    """Builds the same functions and moves to the same fresh session, and edits nothing.

    So operations are made in the same order, their random seeds are the same, and what differs
    between a phase and its control is the swapping and nothing else.
    """

    def _apply(self, graph: typing.Any) -> None:
        pass


class FunctionControl(FunctionEditor):
    """Makes the same fresh functions and edits no trace."""

    def _apply(self, graph: typing.Any, training: bool, results: typing.Sequence[str]) -> None:
        pass


def choose(phase: Phase) -> typing.Type[Provider]:
    """The class for a phase's mode."""
    return FunctionControl if phase.mode == "function" else SessionControl
