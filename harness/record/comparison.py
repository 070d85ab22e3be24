"""What is another in a run than in its baseline, as the record has it and each report shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.record.checks import CheckId, Status
from harness.record.model import Model

Kind = Literal["swaps", "bytes", "peak", "time"]
"""What a number is: operations, bytes that move or are kept, most bytes at a time, milliseconds."""


class Change(Model):
    """A case of which some check has another verdict than in the baseline.

    Attributes:
        case: `<flavor>.<family>.<scenario>`.
        check: the first of the case's checks that changed in this way.
        before, after: its status; None where that side does not have it.
        message: of the check in the run, or where the run does not have it in the baseline.
        also: the case's other checks that changed in this way.
    """

    case: str
    check: CheckId
    before: Status | None
    after: Status | None
    message: str
    also: list[CheckId] = Field(default_factory=list)


class Moved(Model):
    """A number that is beyond its tolerance.

    Attributes:
        name: as the check names it, e.g. `load.peak_bytes`.
        before, after: bytes, operations or milliseconds, by its kind.
        share: the difference as a part of `before`; None where that is 0.
        tolerance: the share that it may differ by.
        worse: less is swapped, or more is taken: a regression. A step's time is one on a GPU alone.
    """

    case: str
    check: CheckId
    name: str
    kind: Kind
    before: float
    after: float
    share: float | None
    tolerance: float
    worse: bool


class Differing(Model):
    """A fact of where it ran that is another one.

    Attributes:
        where: `run`, `gpu`, `host`, or a flavor.
        name: of the fact; of a package its name.
        before, after: None where that side does not have it.
    """

    where: str
    name: str
    before: str | None
    after: str | None


class Comparison(Model):
    """A run beside its baseline. Every list has what is most severe first.

    Attributes:
        base: of which runs the baseline is, by id.
        run: id of the run.
        checks: how many checks were compared: those that both sides have.
        numbers: how many numbers were compared.
        failing: what fails, and did not: a case that the baseline does not have as well.
        unjudged: what was judged, and is an error or skipped now; not where the case is `failing`.
        fixed: what passes, and failed, was known or was an error.
        known: what fails as a known defect says, and did not.
        flaky: what is not the same, and was not among the baseline's own runs either: nothing that
            this run has brought.
        persisting: what fails in both.
        moved: numbers beyond their tolerance, those for the worse first.
        only_base, only_run: ids of cases that only one side has.
        notes: what the reader has to know: why numbers were not compared, that a run did not end.
        provenance: what else differs.
    """

    base: list[str]
    run: str
    checks: int = 0
    numbers: int = 0
    failing: list[Change] = Field(default_factory=list)
    unjudged: list[Change] = Field(default_factory=list)
    fixed: list[Change] = Field(default_factory=list)
    known: list[Change] = Field(default_factory=list)
    flaky: list[Change] = Field(default_factory=list)
    persisting: list[Change] = Field(default_factory=list)
    moved: list[Moved] = Field(default_factory=list)
    only_base: list[str] = Field(default_factory=list)
    only_run: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    provenance: list[Differing] = Field(default_factory=list)

    @property
    def worse(self) -> list[Moved]:
        """The numbers that moved for the worse."""
        return [moved for moved in self.moved if moved.worse]

    @property
    def regressed(self) -> bool:
        """Whether something fails that did not, or a number moved for the worse."""
        return bool(self.failing or self.worse)
