"""A bisect as it is kept and shown: its trials, what they say of the place, exit code. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from packaging.utils import canonicalize_name
from pydantic import Field

from harness.base.error import EXIT_INTERRUPTED, EXIT_NOT_JUDGED, EXIT_PASSED
from harness.base.text import clip, plural
from harness.bisect import search
from harness.bisect.search import Answer
from harness.bisect.trial import Trial, Verdict, first_failing
from harness.record.checks import CheckId
from harness.record.model import Model

ENDS = 2
"""How often each end is tried: one that does not repeat itself says nothing."""
_MESSAGE = 100  # characters of a message in the table
_HEAD = ("version", "verdict", "package set", "seconds", "message")


class Change(Model):
    """A package that is not the same in two package sets; None: it is not there."""

    name: str
    last: str | None
    first: str | None


class Bisection(Model):
    """One search for the version of a package with which a case changes.

    Attributes:
        id: follows from all that verdicts depend on but for the versions.
        state: "running"; "found"; "range" (versions that could not be judged are in between);
            "not judged" (`problem` says why); "interrupted"; or "aborted".
        check: None until a failing end says which.
        pattern: what the message of a failure has to hold, or None.
        fixed: the search is for the repair: the older end is the bad one.
        versions: from end to end, the oldest first.
        trials: those that this search has asked for.
        kept: those of earlier starts that it has not asked for.
        last: the last version that is as the older end is.
        first: the first one after it that is as the newer end is: bad, or with `fixed` good.
        between: what is between them, and could not be judged.
        changes: what is not the same in the package sets of the two.
    """

    id: str
    state: str
    started: str
    finished: str | None = None
    command: str = ""
    package: str
    flavor: str
    family: str
    scenario: str
    engine: str
    accelerator: str
    provider: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    check: CheckId | None = None
    pattern: str | None = None
    fixed: bool = False
    versions: list[str]
    trials: list[Trial] = Field(default_factory=list)
    kept: list[Trial] = Field(default_factory=list)
    problem: str = ""
    last: str | None = None
    first: str | None = None
    between: list[str] = Field(default_factory=list)
    changes: list[Change] = Field(default_factory=list)

    @property
    def good(self) -> str:
        """The good end."""
        return self.versions[-1 if self.fixed else 0]

    @property
    def bad(self) -> str:
        """The bad end."""
        return self.versions[0 if self.fixed else -1]

    def answer(self, trial: Trial) -> Answer:
        """Whether a trial is as the newer end is; None where it says nothing."""
        if trial.verdict is Verdict.NOT_JUDGED:
            return None
        return (trial.verdict is Verdict.BAD) is not self.fixed

    def placed(self) -> Bisection:
        """The bisect with what its trials say of the place."""
        answers = {self.versions.index(trial.version): self.answer(trial) for trial in self.trials}
        found = search.bracket(len(self.versions), answers)
        last, first = self.versions[found.last], self.versions[found.first]
        return self.model_copy(
            update={
                "last": last,
                "first": first,
                "between": [self.versions[index] for index in found.between],
                "changes": changes(self._packages(last), self._packages(first)),
            }
        )

    def _packages(self, version: str) -> Sequence[str]:
        return next((trial.packages for trial in self.trials if trial.version == version), ())


def changes(last: Sequence[str], first: Sequence[str]) -> list[Change]:
    """What is not the same in two package sets, each package as `name==version`; by name."""
    if not last or not first:
        return []
    before, after = _by_name(last), _by_name(first)
    return [
        Change(name=name, last=before.get(name), first=after.get(name))
        for name in sorted({**before, **after})
        if before.get(name) != after.get(name)
    ]


def _by_name(packages: Sequence[str]) -> dict[str, str]:
    split = (entry.partition("==") for entry in packages)
    return {str(canonicalize_name(name)): version for name, _, version in split}


def trouble_of_ends(bisection: Bisection) -> str:
    """Why the ends are no ground for a search, in one line; "" where they are."""
    seen = {
        version: [trial for trial in bisection.trials if trial.version == version]
        for version in (bisection.good, bisection.bad)
    }
    for version, name in ((bisection.bad, "bad"), (bisection.good, "good")):
        for trial in seen[version]:
            silent = bisection.check is not None or not trial.checks
            if trial.verdict is Verdict.NOT_JUDGED and silent:
                reason = trial.message or trial.problem
                return f"{_end(bisection, version, name)} could not be judged: {reason}"
    verdicts = {version: {trial.verdict for trial in seen[version]} for version in seen}
    for version, name in ((bisection.bad, "bad"), (bisection.good, "good")):
        if len(verdicts[version]) > 1:
            words = ", then ".join(trial.verdict.value for trial in seen[version])
            return f"{_end(bisection, version, name)} is flaky: {words}"
    if bisection.check is None:
        if any(first_failing(trial) is not None for trial in seen[bisection.good]):
            return _wrong_way(bisection, "every check")
        return f"{_end(bisection, bisection.bad, 'bad')} fails no check: nothing to search for"
    good, bad = verdicts[bisection.good] == {Verdict.GOOD}, verdicts[bisection.bad] == {Verdict.BAD}
    if not good and not bad:
        return _wrong_way(bisection, repr(bisection.check.label))
    if not bad:
        message = seen[bisection.bad][0].message
        return f"{_end(bisection, bisection.bad, 'bad')} passes: {message}"
    if not good:
        message = seen[bisection.good][0].message
        return f"{_end(bisection, bisection.good, 'good')} fails: {message}"
    return ""


def ends_known(bisection: Bisection) -> bool:
    """Whether both ends were tried as often as they have to be, and are as they are said to be."""
    tried = [trial.version for trial in bisection.trials]
    ends = (bisection.good, bisection.bad)
    return min(map(tried.count, ends)) >= ENDS and not trouble_of_ends(bisection)


def _wrong_way(bisection: Bisection, what: str) -> str:
    good, bad, how = bisection.good, bisection.bad, "drop" if bisection.fixed else "add"
    return (
        f"the ends are the wrong way round: {bisection.package} {good} (good) fails and {bad} (bad)"
        f" passes {what}; --good {bad} --bad {good} are the ends to search between ({how} --fixed)"
    )


def _end(bisection: Bisection, version: str, name: str) -> str:
    return f"{bisection.package} {version} ({name})"


def exit_code(bisection: Bisection) -> int:
    """0: found; 2: it could not be judged, or only as a range, as `git bisect` ends; 130."""
    codes = {"found": EXIT_PASSED, "interrupted": EXIT_INTERRUPTED}
    return codes.get(bisection.state, EXIT_NOT_JUDGED)


def lines(bisection: Bisection) -> Iterator[str]:
    """The bisect as lines of text: what was tried, the place, what else changed there."""
    check = "" if bisection.check is None else f", {bisection.check.label!r}"
    yield (
        f"{bisection.package} {bisection.versions[0]} to {bisection.versions[-1]},"
        f" {plural(len(bisection.versions), 'version')}:"
        f" {bisection.flavor}.{bisection.family}.{bisection.scenario}{check}"
    )
    yield from _table(bisection)
    if bisection.state in ("found", "range", "interrupted") and bisection.last is not None:
        yield from _place(bisection)
    if bisection.problem:
        yield f"not judged: {bisection.problem}"
    if bisection.state == "interrupted":
        yield "interrupted: the same command goes on from here"


def _place(bisection: Bisection) -> Iterator[str]:
    kind, other = ("good", "bad") if bisection.fixed else ("bad", "good")
    first, last = bisection.first, bisection.last
    if bisection.between:
        candidates = ", ".join([*bisection.between, str(first)])
        why = "are not judged yet" if bisection.state == "interrupted" else "could not be judged"
        yield (
            f"the first {kind} version of {bisection.package} is one of {candidates}:"
            f" {plural(len(bisection.between), 'version')} {why}; {last} is {other}"
        )
    else:
        yield f"first {kind} version: {bisection.package} {first}; {last} is {other}"
    if bisection.changes:
        yield f"packages of {last} and of {first}:"
    for change in bisection.changes:
        yield f"  {change.name} {change.last or '(none)'} -> {change.first or '(none)'}"


def _table(bisection: Bisection) -> Iterator[str]:
    order = {version: index for index, version in enumerate(bisection.versions)}
    trials = sorted(bisection.trials, key=lambda trial: (order[trial.version], trial.number))
    rows = [
        (
            trial.version,
            trial.verdict.value,
            trial.package_set or "-",
            f"{trial.seconds:.1f}",
            clip(trial.message, _MESSAGE),
        )
        for trial in trials
    ]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    for row in (_HEAD, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
