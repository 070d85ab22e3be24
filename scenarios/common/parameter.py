"""Parameters of a script: environment variables of its own, that a scenario sets by `variables`."""

import os

from common.errors import refuse


def number(name: str, default: int, least: int = 1) -> int:
    """A whole number of the environment; with a bad one the process ends with exit code 2.

    default: where the variable is not set, or empty. least: the smallest that it may be.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or int(text) < least:
        refuse(f"{name} is {text!r}; it must be a whole number of at least {least}")
    return int(text)
