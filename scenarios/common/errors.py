"""How a phase ends that cannot do its work: one line on standard error, and an exit code."""

import sys
import typing

BAD_INPUT = 2
UNAVAILABLE = 3


def refuse(reason: object) -> typing.NoReturn:
    """Ends the process with exit code 2: what the phase has as input cannot be used."""
    _end(reason, BAD_INPUT)


def unavailable(reason: object) -> typing.NoReturn:
    """Ends the process with exit code 3: what the harness promised, such as a GPU, is not there."""
    _end(reason, UNAVAILABLE)


def _end(reason: object, code: int) -> typing.NoReturn:
    sys.stdout.flush()
    sys.stderr.write(f"error: {' '.join(str(reason).split())}\n")
    sys.stderr.flush()
    raise SystemExit(code)
