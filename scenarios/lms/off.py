"""The control: all that the built-in provider does, except for the edit."""

from .builtin import SessionEditor
from .function import FunctionEditor


class Untouched(SessionEditor):
    """Builds the same functions and moves to the same fresh session, and edits nothing.

    So operations are made in the same order, their random seeds are the same, and what differs
    between a phase and its control is the swapping alone.
    """

    def _apply(self, graph):
        pass


class UntouchedFunction(FunctionEditor):
    """Makes the same fresh functions and edits no trace."""

    def _apply(self, graph, training):
        pass
