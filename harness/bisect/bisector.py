"""Bisects: a derived flavor and a run for each version that is asked; both ends first, twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from harness.base import atomic, plain_file
from harness.base.claim import Claim
from harness.base.error import (
    EngineError,
    StoppedError,
    UnavailableError,
    UsageError,
)
from harness.base.signals import stop_signals
from harness.base.stop import Stop, waited_for
from harness.base.text import clean, duration, one_line
from harness.base.trees import digest
from harness.bisect import bisection, derivation, search, trial
from harness.bisect.bisection import Bisection
from harness.bisect.search import Answer
from harness.bisect.trial import Trial
from harness.engine.protocol import Engine
from harness.measure.gpu import Gpu
from harness.plan.plan import Plan
from harness.record.checks import CheckId
from harness.run import run
from harness.run.phase import Observer, utc
from harness.run.settings import Settings

FILE = "bisect.json"
# Checks that rest on more than the phases of the case, and on what.
_ON_CONTROLS = (CheckId.SWAPPING_CONFIRMED, CheckId.RESULT_UNCHANGED)
_ON_REFERENCES = (CheckId.SWAPPING_AS_BEFORE,)
_ON_STRAIGHTS = (CheckId.RESUME_EQUAL,)
_ON_ALL = (None, CheckId.PHASES_COMPLETE, CheckId.CAUGHT)
_CODE = (".py", ".toml", ".json", ".npz")  # what of a tree verdicts depend on

Watch = Callable[[str], AbstractContextManager[Observer]]
"""The observer of a trial, by what it is called."""


@dataclass(frozen=True)
class Question:
    """What is searched for.

    Attributes:
        package: as the flavor's lock file names it.
        versions: from end to end, the oldest first.
        check: the one that is looked at, or None: the first that the bad end fails.
        pattern: of the message of a failure (RE2), or None.
        fixed: the older end is the bad one.
        lock: the lock file of the flavor.
        flavors: where derived flavors are kept.
    """

    package: str
    versions: tuple[str, ...]
    check: CheckId | None
    pattern: str | None
    fixed: bool
    lock: Path
    flavors: Path


def bisect(
    question: Question,
    plan: Plan,
    engine: Engine,
    settings: Settings,
    gpus: Sequence[Gpu],
    watch: Watch,
) -> tuple[Bisection, Path]:
    """Searches for the version with which the one case of a plan changes, until SIGINT or SIGTERM.

    Verdicts that an earlier start has left are used again, as long as nothing that they depend on
    has changed; what could not be built is tried again.

    Args:
        plan: of one case, with no known defects. Only what the check rests on is run of it.

    Returns:
        What was found, and its file; the runs of the trials are in directories beside it.

    Raises:
        UsageError: another process is at the same search.
        CrashError: a bug of the harness ended a trial; what was known by then is stored.
        HarnessError, OSError: a trial could not go on, as on a full disk; likewise.
    """
    bisector = _Bisector(question, _shortened(plan, question.check), engine, settings, gpus, watch)
    claim = Claim(bisector.path.with_suffix(".lock"))
    bisector.path.parent.mkdir(parents=True, exist_ok=True)
    if not claim.take():
        raise UsageError(f"another bisect is at the same search: {bisector.path.parent}")
    try:
        with stop_signals(bisector.cancel):
            bisector.search()
    except (KeyboardInterrupt, StoppedError):
        bisector.end("interrupted")
    except BaseException:
        # The first problem is the one to be told.
        with contextlib.suppress(OSError):
            bisector.end("aborted")
        raise
    finally:
        claim.release()
    return bisector.state, bisector.path


class _Bisector:
    """A bisect in progress.

    Attributes:
        state: what is known of it, as it is in the file.
    """

    def __init__(
        self,
        question: Question,
        plan: Plan,
        engine: Engine,
        settings: Settings,
        gpus: Sequence[Gpu],
        watch: Watch,
    ) -> None:
        (case,) = plan.cases
        self.cancel = Stop()
        self._question = question
        self._plan = plan
        self._flavor = case.flavor
        self._engine = engine
        self._gpus = gpus
        self._watch = watch
        accelerator = "gpu" if gpus else "virtual"
        key = _key(question, plan, engine.name, settings, gpus)
        name = f"bisect-{case.flavor.id}-{case.scenario.id}-{question.package}-{key[:8]}"
        self.path = settings.reports / name / FILE
        self._settings = replace(settings, reports=self.path.parent)
        self._known = _stored(self.path)
        self.state = Bisection(
            id=key,
            state="running",
            started=utc(),
            command=clean(settings.command),
            package=question.package,
            flavor=case.flavor.id,
            family=case.scenario.family,
            scenario=case.scenario.id,
            engine=engine.name,
            accelerator=accelerator,
            provider=plan.provider,
            parameters=dict(plan.parameters),
            check=question.check,
            pattern=question.pattern,
            fixed=question.fixed,
            versions=list(question.versions),
        )

    def search(self) -> None:
        """Tries the ends, and then what is between them.

        Raises:
            StoppedError: it was stopped.
            HarnessError, OSError: it cannot go on.
        """
        for version in (self.state.bad, self.state.good):
            for number in range(1, bisection.ENDS + 1):
                tried = self._try(version, number)
                if self.state.check is None and version == self.state.bad:
                    self._look_at(trial.first_failing(tried))
        problem = bisection.trouble_of_ends(self.state)
        if problem:
            self.end("not judged", problem)
            return
        versions = self.state.versions

        def ask(index: int) -> Answer:
            return self.state.answer(self._try(versions[index], 1))

        found = search.search(len(versions), ask)
        self.end("range" if found.between else "found")

    def end(self, state: str, problem: str = "") -> None:
        """Writes the last state.

        Raises:
            OSError: it cannot be written.
        """
        known = bisection.ends_known(self.state)
        placed = self.state.placed() if known else self.state
        self._write(
            placed.model_copy(update={"state": state, "problem": problem, "finished": utc()})
        )

    def _look_at(self, check: CheckId | None) -> None:
        judged = [entry.judged(check, self._question.pattern) for entry in self.state.trials]
        self.state = self.state.model_copy(update={"check": check, "trials": judged})

    def _try(self, version: str, number: int) -> Trial:
        title = f"{self._question.package} {version}"
        if number > 1:
            title += " again"
        with self._watch(title) as observer:
            found = self._tried(version, number, observer)
            tried = found.judged(self.state.check, self._question.pattern)
            said = self.state.check is not None or tried.problem
            known = "known from an earlier start" if found in self._known else ""
            observer.message(
                f"{title}: {tried.verdict.value if said else 'tried'}"
                f" ({known or duration(tried.seconds)}){f': {tried.message}' if said else ''}"
            )
        trials = [*self.state.trials, tried]
        self._write(self.state.model_copy(update={"trials": trials}))
        return tried

    def _tried(self, version: str, number: int, observer: Observer) -> Trial:
        """The trial of a version, from an earlier start where there is one.

        Raises:
            StoppedError: it was stopped.
        """
        began = time.monotonic()
        if self.cancel.is_set():
            raise StoppedError("the bisect was stopped")
        lock = ""
        try:
            derived, lock = waited_for(
                lambda: derivation.make(
                    self._question.flavors,
                    self._flavor,
                    self._question.lock,
                    self._question.package,
                    version,
                    self.cancel,
                ),
                self.cancel,
                f"locking {self._question.package} {version}",
                observer.message,
            )
        except (EngineError, UnavailableError) as problem:
            seconds = round(time.monotonic() - began, 1)
            return Trial(
                version=version, number=number, seconds=seconds, problem=one_line(str(problem))
            )
        for known in self._known:
            if (known.version, known.number, known.lock) == (version, number, lock):
                return known
        record, _ = run.execute(
            self._plan.having(derived), self._engine, self._settings, self._gpus, observer
        )
        if record.state == "interrupted":
            raise StoppedError("the bisect was stopped")
        return trial.of_run(version, number, lock, record, time.monotonic() - began)

    def _write(self, state: Bisection) -> None:
        asked = {(entry.version, entry.number) for entry in state.trials}
        kept = [entry for entry in self._known if (entry.version, entry.number) not in asked]
        self.state = state.model_copy(update={"kept": kept})
        atomic.write(self.path, self.state.to_json(indent=1) + "\n")


def _shortened(plan: Plan, check: CheckId | None) -> Plan:
    """The plan with no more than a check rests on: a trial is run many times."""
    if check in _ON_ALL:
        return plan
    return plan.resting_on(check in _ON_CONTROLS, check in _ON_REFERENCES, check in _ON_STRAIGHTS)


def _stored(path: Path) -> list[Trial]:
    """What an earlier start has judged; none where its file is not there, or is not whole."""
    try:
        stored = Bisection.model_validate_json(plain_file.read_text(path))
    except (OSError, ValueError, ValidationError):
        return []
    return [entry for entry in (*stored.trials, *stored.kept) if entry.checks]


def _key(
    question: Question, plan: Plan, engine: str, settings: Settings, gpus: Sequence[Gpu]
) -> str:
    """Digest of what verdicts depend on, but for the versions and the check that is looked at."""
    trees = [settings.root / "scenarios", Path(__file__).resolve().parents[1]]
    facts = {
        "package": question.package,
        "tasks": [asdict(task) for task in plan.tasks.values()],
        "engine": engine,
        "gpus": sorted(gpu.uuid for gpu in gpus),
        "data": str(settings.data),
        "trees": [
            digest.of_tree(path, lambda name: name.endswith(_CODE))
            for path in [*trees, *filter(None, [settings.lms_path])]
        ],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
