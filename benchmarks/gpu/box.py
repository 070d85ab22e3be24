"""A command within a time box: stopped in time, its output shown and kept.

Imports nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GRACE_S = 12.0
"""From TERM to KILL: `harness` judges what it has and writes its record in that time."""
_LOOK_S = 0.1


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal that ended it, as `subprocess` has it.
        word: the same for people.
    """

    code: int
    word: str
    seconds: float


def run(
    command: Sequence[str],
    limit_s: float,
    log: Path,
    show: Callable[[str], None],
    stop: threading.Event,
    variables: Mapping[str, str] | None = None,
    grace_s: float = GRACE_S,
) -> Ended:
    """Runs a command to its end, to the end of its time, or until `stop` is set.

    TERM goes to the command itself; KILL, `grace_s` later, to all of its session.

    Args:
        log: file for its output, standard error included.
        show: is given each line of it, in another thread.
        variables: beside those of this process.
    """
    began = time.monotonic()
    with log.open("w", encoding="utf-8", buffering=1) as file:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **(variables or {})},
                start_new_session=True,
            )
        except OSError as problem:
            show(f"{command[0]}: {problem.strerror}\n")
            return Ended(127, f"not started: {problem.strerror}", 0.0)
        assert process.stdout is not None
        reader = threading.Thread(target=_copy, args=(process.stdout, file, show), daemon=True)
        reader.start()
        word = _waited(process, began + limit_s, stop, grace_s)
        # Whatever it has started and left.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        reader.join(2.0)
    return Ended(code, word or f"exit code {code}", time.monotonic() - began)


def _waited(
    process: subprocess.Popen[str], deadline: float, stop: threading.Event, grace_s: float
) -> str:
    """Waits for the end; what brought it about, or "" where the command ended by itself."""
    word = ""
    while process.poll() is None:
        now = time.monotonic()
        if not word and (stop.is_set() or now >= deadline):
            word = "stopped" if stop.is_set() else "stopped at its time box"
            process.terminate()
            deadline = now + grace_s
        elif word and now >= deadline:
            return word.replace("stopped", "killed")
        time.sleep(_LOOK_S)
    return word


def _copy(source: IO[str], file: IO[str], show: Callable[[str], None]) -> None:
    for line in source:
        with suppress(ValueError):  # closed: what it left behind still writes
            file.write(line)
        show(line)
