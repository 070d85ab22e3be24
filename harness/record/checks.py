"""Verdicts: the status of a check, the checks of a case, and which status outweighs which."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from pydantic import Field, model_validator

from harness.record.model import Model


class Status(str, Enum):
    """Verdict of one check.

    `failed` means that the product under test is broken, `error` that it could not be judged,
    `known` that it failed as a known defect says, `skipped` that the check does not apply. Only
    `passed` counts as passed.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    KNOWN = "known"
    SKIPPED = "skipped"


WORST_FIRST = (Status.FAILED, Status.ERROR, Status.KNOWN, Status.PASSED, Status.SKIPPED)
"""A failure outweighs what could not be judged, that a known defect, and that what passed."""


def worst(statuses: Iterable[Status], none: Status = Status.SKIPPED) -> Status:
    """The status that outweighs the others; `none` where there are no statuses."""
    return min(statuses, key=WORST_FIRST.index, default=none)


class CheckId(str, Enum):
    """The checks of a case, in the order in which they are reported.

    The values are ids that Jenkins keys its history on: they never change.
    """

    PHASES_COMPLETE = "phases_complete"
    LMS_EDITED_GRAPH = "lms_edited_graph"
    EDIT_TOOK_EFFECT = "edit_took_effect"
    STATE_RESTORED = "state_restored"
    SWAPPING_CONFIRMED = "swapping_confirmed"
    RESULT_UNCHANGED = "result_unchanged"
    SWAPPING_AS_BEFORE = "swapping_as_before"
    RESUME_EQUAL = "resume_equal"
    CAUGHT = "caught"  # the only reported check of a canary

    @property
    def label(self) -> str:
        """The check in words, as it is shown in JUnit."""
        return _LABELS[self]


_LABELS = {
    CheckId.PHASES_COMPLETE: "phases complete",
    CheckId.LMS_EDITED_GRAPH: "LMS edited the graph",
    CheckId.EDIT_TOOK_EFFECT: "edit took effect",
    CheckId.STATE_RESTORED: "state restored",
    CheckId.SWAPPING_CONFIRMED: "swapping confirmed",
    CheckId.RESULT_UNCHANGED: "result unchanged",
    CheckId.SWAPPING_AS_BEFORE: "swapping as before the save",
    CheckId.RESUME_EQUAL: "resumed equals uninterrupted",
    CheckId.CAUGHT: "caught by the harness",
}


Number = float | int | str | None


def finite(value: Number) -> float | None:
    """A number of a check as it is; None where it is a text, not known, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 2**63 else None  # NaN is below nothing


class KnownDefect(Model):
    """An entry of `scenarios/known-defects.toml`, as far as the reports show it.

    Attributes:
        means: what it means for a user, in one sentence.
        upstream: address of the issue, or None where it is not reported.
    """

    id: str = Field(min_length=1)
    means: str = Field(min_length=1)
    upstream: str | None = None

    @property
    def text(self) -> str:
        """The defect in one line, as every report has it."""
        return f"known defect {self.id}: {self.means} ({self.upstream or 'unreported'})"


class Check(Model):
    """Verdict of one check of one case.

    Attributes:
        message: one line, never empty, that holds the numbers the verdict rests on; of a known
            defect it is what the check found.
        numbers: the same numbers for machines (sizes in bytes, times in seconds or ms as named).
        lines: the log lines that the verdict rests on, each as `<phase>:<line number>: <text>`.
        phases: of a check that failed or was not judged, what was found of each phase that the
            check looked at; nothing of what it found of no phase alone.
        defect: the known defect, where the status is `known`.
    """

    id: CheckId
    status: Status
    message: str = Field(min_length=1)
    numbers: dict[str, Number] = {}
    lines: list[str] = []
    phases: dict[str, Status] = Field(default={}, exclude_if=lambda value: not value)
    defect: KnownDefect | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _known_by_its_defect(self) -> Check:
        if (self.status is Status.KNOWN) is not (self.defect is not None):
            raise ValueError("a check is known if it has a defect, and only then")
        return self
