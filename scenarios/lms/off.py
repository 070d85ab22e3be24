"""The control: all that the built-in provider does, except for the edit."""

from .builtin import SessionEditor


class Untouched(SessionEditor):
    """Builds the same functions and moves to the same fresh session, and edits nothing.

    So operations are made in the same order, their random seeds are the same, and what differs
    between a phase and its control is the swapping alone.
    """

    def _apply(self, graph):
        pass
