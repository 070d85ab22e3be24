"""`uv`, run so that it can be stopped, and ends with the driver."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence

from uv import find_uv_bin

from harness.base import text
from harness.base.claim import Claim
from harness.base.error import EngineError, StoppedError
from harness.engine import indexes
from harness.engine.venv.process import Supervised

_LOOK_S = 0.1  # how late a cancellation is seen


def run(
    arguments: Sequence[str],
    cancel: threading.Event,
    environ: Mapping[str, str] | None = None,
    claim: Claim | None = None,
) -> str:
    """Runs uv to its end; returns what it printed.

    Args:
        arguments: without the program itself.
        environ: in place of the driver's own variables; what uv must know of this machine's package
            indexes is added.
        claim: on what uv works at. Whatever becomes of this process, it is held for as long as uv
            and all it started run.

    Raises:
        EngineError: uv could not be started or failed; with the end of its message.
        StoppedError: the run was stopped; uv and all it started have ended.
    """
    variables = dict(os.environ if environ is None else environ)
    variables.update(indexes.uv_variables(variables))
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        try:
            started = Supervised(
                [find_uv_bin(), *arguments],
                variables,
                stdout=stdout,
                stderr=stderr,
                held=() if claim is None or claim.descriptor is None else (claim.descriptor,),
            )
        except OSError as problem:
            raise EngineError(f"uv could not be started: {problem}") from problem
        try:
            code = _wait(started, cancel)
        finally:
            started.close()
        stdout.seek(0)
        stderr.seek(0)
        if code != 0:
            said = " ".join(text.clean(stderr.read().decode("utf-8", "replace")).split())
            step = " ".join(arguments[:2])
            raise EngineError(f"uv {step} failed: {said[-400:] or 'no message'}")
        return stdout.read().decode("utf-8", "replace")


def _wait(started: Supervised, cancel: threading.Event) -> int:
    while not cancel.is_set():
        try:
            return started.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            pass
    raise StoppedError("the run was stopped while uv was at work")
