"""Threads that work until nothing is left to do, and that never keep a process from its end.

`concurrent.futures` waits for its threads when the interpreter ends, whatever they hang in.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Workers(Generic[Result]):
    """So many threads; each keeps what is local to it from one piece of work to the next."""

    def __init__(self, count: int, name: str) -> None:
        self._work: queue.SimpleQueue[tuple[Future[Result], Callable[[], Result]] | None] = (
            queue.SimpleQueue()
        )
        self._count = count
        for number in range(count):
            threading.Thread(target=self._run, name=f"{name}_{number}", daemon=True).start()

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Has a thread do this when one is free."""
        future: Future[Result] = Future()
        self._work.put((future, work))
        return future

    def close(self) -> None:
        """The threads end, each with what it does."""
        for _ in range(self._count):
            self._work.put(None)

    def _run(self) -> None:
        while (entry := self._work.get()) is not None:
            future, work = entry
            try:
                future.set_result(work())
            except BaseException as problem:
                future.set_exception(problem)
            del entry, future, work  # what it returned may be large
