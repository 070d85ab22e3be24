"""An engine that plays phases as Python functions, for tests of everything above engines."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.base.error import UnavailableError
from harness.catalog.flavors import Flavor
from harness.engine import resources
from harness.engine.protocol import Client, Environment, Exit, Launch
from harness.engine.resources import Resources
from harness.measure.target import Target
from harness.record.models import Outcome

Play = Callable[[Launch], "Exit | None"]


class SelfTarget:
    """This very process, so that the sampler has something to look at."""

    def pids(self) -> set[int]:
        return {os.getpid()}

    def cgroup(self) -> Path | None:
        return None


class ScriptedEngine:
    """Runs `play` for each phase; `missing` names flavors that cannot be had."""

    name = "scripted"

    def __init__(self, play: Play, missing: Mapping[str, Exception] | None = None) -> None:
        self.launches: list[Launch] = []
        self.most_at_once = 0
        self._play = play
        self._missing = dict(missing or {})
        self._running = 0
        self._lock = threading.Lock()

    def preflight(self, gpu: str | None) -> None:
        pass

    def resources(self) -> Resources:
        return resources.of_host()

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        if flavor.id in self._missing:
            raise self._missing[flavor.id]
        return Environment(flavor.id, "handle", {"python": "3.7.16"})

    def execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        with self._lock:
            self.launches.append(launch)
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        try:
            for part in (launch, launch.client):
                if part is not None:
                    (part.logs / "stdout.log").write_bytes(b"")
                    (part.logs / "stderr.log").write_bytes(b"")
            started(SelfTarget())
            ended = self._play(launch)
            if cancel.is_set():
                return Exit(Outcome.INTERRUPTED, None, "the run was stopped")
            return ended or Exit(Outcome.COMPLETED, 0)
        finally:
            with self._lock:
                self._running -= 1

    def recover(
        self, launch: Launch, progress: Callable[[str], None], cancel: threading.Event
    ) -> bool:
        return not cancel.is_set()

    def shell(self, launch: Launch) -> int:
        self.launches.append(launch)
        return 0

    def reap(self) -> list[str]:
        return []

    def close(self) -> None:
        self.closed = True

    def facts(self) -> dict[str, str]:
        return {"engine": "scripted"}


class Silent:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.finished: list[str] = []
        self.judged: list[str] = []
        self.total = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    def begin(self, total: int | None) -> None:
        self.total = total

    def phase_started(self, task: object, logs: Path) -> None:
        pass

    def phase_finished(self, record: object) -> None:
        self.finished.append(record.key)  # type: ignore[attr-defined]

    def case_judged(self, record: object) -> None:
        self.judged.append(record.id)  # type: ignore[attr-defined]


def unavailable(reason: str) -> UnavailableError:
    return UnavailableError(reason)


def write_log(launch: Launch | Client, *lines: str) -> None:
    """Replaces the standard output of a phase, or of its client."""
    (launch.logs / "stdout.log").write_text("".join(f"{line}\n" for line in lines))


def nap(seconds: float) -> None:
    time.sleep(seconds)
