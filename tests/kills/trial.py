"""One kill: a run that it hits, the next run, which has to recover by itself, and what is left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from harness.base.error import EXIT_CRASHED, EXIT_FAILED
from tests.kills import remains
from tests.kills.checkout import SERVING
from tests.kills.kill import STAGES, Kill
from tests.kills.sides import Side
from tests.kills.watched import Watched

_LOOK_S = 0.01
_BETWEEN_S = 0.3  # from the first signal to the second
_ENDS_S = 60.0  # a run that was hit, with the grace that it gives to its phases
_PASSES_S = 180.0  # the next one, which may have to build
_SETTLED_S = 3.0  # what was told to end, and is not waited for
_ALIVE = 0.7  # of a stage: what is alive in it ends before it
_TOLD_S = 0.1  # a phase that ended so shortly before the kill may not be recorded yet


@dataclass(frozen=True)
class _Hit:
    """When the first signal was sent: on the monotonic clock, and in words."""

    at: float
    when: str


@dataclass(frozen=True)
class Result:
    """What came of a kill that hit something.

    Attributes:
        when: the stage, and the seconds since its begin, at which it hit.
        found: what was wrong; empty where the next run recovered and nothing is left.
    """

    kill: Kill
    when: str
    found: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> set[str]:
        """What kinds of things were found: the first word of each."""
        return {thing.partition(" ")[0].rstrip(":") for thing in self.found}

    def line(self) -> str:
        """The result as one line."""
        kill = self.kill
        found = "; ".join(self.found) or "recovered"
        what = f"{kill.engine:<6}  {kill.target:<11}  {self.when:<16}  {kill.name:<12}"
        return f"{kill.seed:<6}  {what}  {found}"


class Trial:
    """Kills on one engine, one after the other."""

    def __init__(self, side: Side) -> None:
        """Runs the matrix once, which builds what is missing, and once more.

        Raises:
            RuntimeError: a run that nobody disturbs does not pass, or leaves something.
        """
        self._side = side
        self._seconds: dict[str, float] = {}
        self._secrets: set[str] = set()
        for built in (True, False):
            found = self._next() + self._left({}, built)
            if found:
                raise RuntimeError(f"with no kill at all: {'; '.join(found)}")

    def run(self, kill: Kill) -> Result | None:
        """One kill; None where nothing of its target was alive to be hit."""
        built = kill.stage == "build"
        self._side.clear(renew=built)
        run = self._side.start()
        try:
            hit = self._strike(run, kill)
            found = [] if self._ended(run) else [f"hung: the run goes on after {_ENDS_S:g} s"]
        finally:
            run.end()
        if hit is None:
            return None
        found = found or _verdict(run, kill)
        told = {key for key, at in run.ended.items() if at < hit.at - _TOLD_S}
        names = [path.name for path in self._side.checkout.reports.glob("2*")]
        self._side.recover()
        found += self._next() + self._left(dict.fromkeys(names, told), built)
        return Result(kill, hit.when, found)

    def _strike(self, run: Watched, kill: Kill) -> _Hit | None:
        """Sends the signals at the kill's moment; None where nothing is alive from then on."""
        due = None
        while run.code is None:
            self._side.tend()
            stage, now = run.stage(), time.monotonic()
            if due is None and kill.stage in run.began:
                reach = 1.0 if kill.target in ("driver", "daemon") else _ALIVE
                seconds = reach * self._seconds.get(kill.stage, 1.0)
                due = run.began[kill.stage] + kill.moment * seconds
            over = STAGES.index(stage) > STAGES.index(
                kill.stage
            )  # it was shorter than the last time
            ready = due is not None and (over or now >= due)
            victims = self._side.victims(run, kill.target) if ready else []
            if victims:
                chosen = victims[int(kill.choice * len(victims))]
                hit = _Hit(now, f"{stage}+{now - run.began[stage]:.2f}s")
                if chosen.send(kill.signals[0]):
                    for number in kill.signals[1:]:
                        time.sleep(_BETWEEN_S)
                        chosen.send(number)
                    return hit
            time.sleep(_LOOK_S)
        return None

    def _ended(self, run: Watched) -> bool:
        late = time.monotonic() + _ENDS_S
        while time.monotonic() < late:
            self._side.tend()
            if run.wait(0.05):
                return True
        return False

    def _next(self) -> list[str]:
        """Runs the matrix; what was wrong with it."""
        run = self._side.start()
        try:
            while run.code is None and time.monotonic() - run.began["set-up"] < _PASSES_S:
                run.stage()
                run.wait(_LOOK_S)
            if run.code is None:
                return [f"next-run still goes on after {_PASSES_S:g} s"]
            if run.wait(0) and run.code != 0:
                return [f"next-run exit code {run.code}: {_told(run)}"]
            self._seconds.update(run.seconds())
        finally:
            run.end()
        return []

    def _left(self, told: dict[str, set[str]], built: bool) -> list[str]:
        late = time.monotonic() + _SETTLED_S
        while (left := self._side.remains()) and time.monotonic() < late:
            time.sleep(0.1)
        if built:  # what a build has told a daemon's disk, nobody here can take back
            secrets = self._side.secrets()
            left += [line for line in secrets if line not in self._secrets]
            self._secrets.update(secrets)
        return left + remains.records(self._side.checkout.reports, told)


def _verdict(run: Watched, kill: Kill) -> list[str]:
    """An exit code that takes a kill for a failure of the product, or of the harness."""
    if run.code not in (EXIT_FAILED, EXIT_CRASHED):
        return []
    told = _told(run)
    if kill.target in ("phase", "container") and kill.name == "SIGTERM" and SERVING in told:
        return []  # a server that is told to stop ends well, and too soon, whoever told it
    return [f"verdict exit code {run.code}: {told}"]


def _told(run: Watched) -> str:
    """The line of a run that says most of why it did not pass."""
    for start in ("harness: ", "failed ", "error "):
        for line in run.lines:
            if line.startswith(start):
                return line
    return run.lines[-1] if run.lines else "it printed nothing"
