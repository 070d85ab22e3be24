"""One matrix whose driver is killed again and again, each time gone on with, beside an undisturbed
run of it."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.base.error import EXIT_PASSED
from harness.record import journal, store
from harness.record.models import Outcome
from tests.paths import ROOT

_LATE_S = 900.0  # for a run of which nobody is sure that it ends


class Resumption:
    """Runs of one command, undisturbed or killed.

    Args:
        command: of a run into `reports`, without the option that goes on with one.
        tell: is told what becomes of each run, in a line.
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        reports: Path,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._command, self._variables, self._reports = command, variables, reports
        self._tell = tell

    def undisturbed(self) -> tuple[Path, float]:
        """A run to its end: its directory, and the seconds that it took."""
        began = time.monotonic()
        code = self._run(None, None)
        assert code == EXIT_PASSED
        return self._latest(), time.monotonic() - began

    def killed(self, kills: int, seconds: float, seed: int) -> list[Path]:
        """Kills runs at random moments, and goes on with each; a new matrix after one that ended.

        Args:
            seconds: how long an undisturbed run takes.

        Returns:
            The directories of all runs that came to their end.
        """
        moments = random.Random(seed)
        earlier: Path | None = None
        ended = []
        while kills or earlier is not None:
            wait = moments.uniform(0.05, 1.0) * seconds if kills else None
            before = set(self._reports.glob("2*/record.json"))
            code = self._run(earlier, wait)
            if code == -signal.SIGKILL:
                kills -= 1
                made = set(self._reports.glob("2*/record.json")) - before
                # One that was killed before it had a record has nothing to go on with.
                earlier = made.pop().parent if made else earlier
                if earlier is None:
                    continue
                record = store.load(earlier)
                done = sum(phase.outcome is Outcome.COMPLETED for phase in record.phases)
                self._tell(f"killed after {wait or 0:.1f} s: {done} phases completed")
                if record.state == "finished" and not (earlier / journal.FILE).exists():
                    ended.append(earlier)  # it had nothing left to do
                    earlier = None
            else:
                assert code == EXIT_PASSED, f"exit code {code}"
                ended.append(self._latest())
                self._tell(f"ended: {store.load(ended[-1]).notes[-1]}")
                earlier = None
        return ended

    def _latest(self) -> Path:
        return (self._reports / "latest").resolve()

    def _run(self, earlier: Path | None, wait: float | None) -> int:
        """Starts a run and waits for its end, or kills its driver after so many seconds."""
        resumed = [] if earlier is None else [f"--resume={earlier}"]
        with subprocess.Popen(
            [*self._command, *resumed],
            cwd=ROOT,
            env=dict(self._variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                return process.wait(_LATE_S if wait is None else wait)
            except subprocess.TimeoutExpired:
                assert wait is not None
                process.kill()
                return process.wait()
