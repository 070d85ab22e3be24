"""A trial: one version, what became of the case with it, and what that says of it. Pure."""

from __future__ import annotations

import hashlib
from enum import Enum

import re2
from pydantic import Field

from harness.base.text import one_line
from harness.record.checks import Check, CheckId, Status
from harness.record.model import Model
from harness.record.models import CaseRecord, RunRecord

_FAILING = (Status.FAILED, Status.KNOWN)


class Verdict(str, Enum):
    """What a trial says of its version."""

    GOOD = "good"
    BAD = "bad"
    NOT_JUDGED = "not judged"  # it could not be built, or the check says neither


class Trial(Model):
    """One version of the package, tried once.

    Attributes:
        number: which trial of the version, from 1; the ends are tried twice.
        lock: SHA-256 of the lock file, or "" where there is no solution.
        packages: what was installed, each as `name==version`.
        run: name of the run's directory beside the bisect's file, or None.
        checks: of the case; none where nothing could be run.
        problem: why there are no checks.
        verdict, message: what that says, of the check that is looked at.
    """

    version: str
    number: int = 1
    lock: str = ""
    packages: list[str] = Field(default_factory=list)
    run: str | None = None
    seconds: float = 0.0
    checks: list[Check] = Field(default_factory=list)
    problem: str = ""
    verdict: Verdict = Verdict.NOT_JUDGED
    message: str = ""

    @property
    def package_set(self) -> str:
        """A short digest of the packages; "" where nothing was installed."""
        packages = "\n".join(sorted(self.packages))
        return hashlib.sha256(packages.encode()).hexdigest()[:12] if packages else ""

    def judged(self, check: CheckId | None, pattern: str | None) -> Trial:
        """The trial with what it says of a check.

        Args:
            check: None: it is not known yet which one is looked at.
            pattern: in the syntax of RE2; a failure whose message has no such place is another one.
        """
        verdict, message = self._verdict(check, pattern)
        return self.model_copy(update={"verdict": verdict, "message": message})

    def _verdict(self, check: CheckId | None, pattern: str | None) -> tuple[Verdict, str]:
        found = next((entry for entry in self.checks if entry.id is check), None)
        if found is None:
            there = ", ".join(entry.id.value for entry in self.checks)
            return Verdict.NOT_JUDGED, one_line(self.problem or f"has no such check, but {there}")
        message = one_line(f"{found.id.label}: {found.message}")
        if found.status is Status.PASSED:
            return Verdict.GOOD, message
        if found.status not in _FAILING:
            return Verdict.NOT_JUDGED, one_line(f"{found.status.value}: {message}")
        if pattern and re2.search(pattern, found.message) is None:
            return Verdict.NOT_JUDGED, one_line(f"failed otherwise: {message}")
        return Verdict.BAD, message


def of_run(version: str, number: int, lock: str, record: RunRecord, seconds: float) -> Trial:
    """The trial that a run of the one case is."""
    (case,) = record.cases
    (flavor,) = (entry for entry in record.flavors if entry.id == case.flavor)
    return Trial(
        version=version,
        number=number,
        lock=lock,
        packages=[one_line(entry) for entry in flavor.provenance.get("packages", "").split()],
        run=record.id,
        seconds=round(seconds, 1),
        checks=[] if case.skip else [_bare(check) for check in _all(case)],
        problem=one_line(case.skip) if case.skip else "",
    )


def first_failing(trial: Trial) -> CheckId | None:
    """The first check that fails, in the order of reports."""
    return next((check.id for check in trial.checks if check.status in _FAILING), None)


def _all(case: CaseRecord) -> list[Check]:
    return [*case.checks, *case.behind]


def _bare(check: Check) -> Check:
    """Without what is in the run's own record."""
    return check.model_copy(update={"numbers": {}, "lines": []})
