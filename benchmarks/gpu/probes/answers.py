"""Answers of a probe: each thing asked for itself, printed, and in a file at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = "answers.json"


class WrongAnswerError(Exception):
    """An answer that is not what it has to be; the text is the answer."""


class Answers:
    """What was asked so far.

    `answers.json` has by name {"ok": bool, "answer": text, "seconds": number}, whole after each
    answer: a probe that dies or is stopped leaves what it had.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._found: dict[str, dict[str, Any]] = {}
        self._path.unlink(missing_ok=True)

    def ask(self, name: str, function: Callable[[], object]) -> bool:
        """Calls a function; what it raises is a wrong answer, and others are still asked for."""
        began = time.perf_counter()
        try:
            answer, ok = str(function()), True
        except WrongAnswerError as problem:
            answer, ok = str(problem), False
        except BaseException as problem:  # SystemExit too: a framework may want to end here
            answer, ok = f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}", False
        seconds = round(time.perf_counter() - began, 2)
        self._found[name] = {"ok": ok, "answer": answer, "seconds": seconds}
        print(f"{'ok  ' if ok else 'FAIL'} {name}: {answer} ({seconds:.2f} s)", flush=True)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._found, indent=1), encoding="utf-8")
        part.replace(self._path)
        return ok

    @property
    def code(self) -> int:
        """0 where all is as it has to be, else 1."""
        return 0 if all(entry["ok"] for entry in self._found.values()) else 1
