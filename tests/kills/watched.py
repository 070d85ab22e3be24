"""A run of the command that is watched: which stage it is in, which of its phases have ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.record.models import Outcome
from tests.kills.kill import STAGES
from tests.paths import ROOT

_BUILDS = re.compile(r": (?:environment with Python|building the image)")
_ENDED = re.compile(r"\[ *(\d+)/(\d+)\] (\S+) +(?:[\d.]+ s)? +(\S+)")
_READ_S = 2.0


class Watched:
    """A run, and when each of its stages began.

    Attributes:
        pid: of the driver, which leads a session of its own.
        began: seconds of the monotonic clock at which a stage was first seen, by its name.
        lines: what it has printed.
        ended: seconds of the monotonic clock at which it told of a phase's end, by the phase's key.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], reports: Path) -> None:
        """Starts it; `reports` holds no other run that still goes on."""
        self.lines: list[str] = []
        self.ended: dict[str, float] = {}
        self._reports = reports
        self._before = set(reports.glob("*/phases"))
        self.began = {STAGES[0]: time.monotonic()}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def code(self) -> int | None:
        """Its exit code, minus the signal's number where one ended it; None while it runs."""
        return self._process.poll()

    def stage(self) -> str:
        """The stage that it is in."""
        if "running" not in self.began and set(self._reports.glob("*/phases")) - self._before:
            self._enter("running")
        return next(stage for stage in reversed(STAGES) if stage in self.began)

    def wait(self, seconds: float) -> bool:
        """Waits for its end, at most so long; whether it has ended, and all it said was read."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(_READ_S)  # what it left running may hold the pipe open
        return True

    def seconds(self) -> dict[str, float]:
        """How long each stage of a run that has just ended took."""
        self.stage()
        ends = [*sorted(self.began.values())[1:], time.monotonic()]
        stages = sorted(self.began, key=lambda stage: self.began[stage])
        return {stage: end - self.began[stage] for stage, end in zip(stages, ends, strict=True)}

    def end(self) -> None:
        """Ends it, if it has not."""
        if self.code is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def _enter(self, stage: str) -> None:
        self.began.setdefault(stage, time.monotonic())

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            if _BUILDS.search(line):
                self._enter("build")
            match = _ENDED.match(line)
            if match is not None:
                if match[3] != Outcome.NOT_RUN.value:
                    self.ended[match[4]] = time.monotonic()
                if match[1] == match[2]:
                    self._enter("reporting")
