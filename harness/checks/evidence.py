"""What the checks of a case rest on: the case as it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from harness.catalog.entry import Mode
from harness.catalog.providers import Effect
from harness.catalog.scenarios import Phase, Scenario
from harness.record.models import PhaseRecord


@dataclass(frozen=True)
class Reference:
    """An execution in which nothing was loaded.

    Attributes:
        name: the id of the phase, or `<phase>-reference`.
        declared: the scenario says that it is one. Otherwise it is the phase that saved, and only
            one where its step is of the same model and batch.
    """

    name: str
    record: PhaseRecord
    declared: bool


@dataclass(frozen=True)
class Evidence:
    """A case as it ran.

    Attributes:
        phases: the scenario's phases in order, each with its execution.
        controls: the controls' executions, by the id of the phase.
        references: what swapping after the load is compared with, by the id of the phase.
        provider: what the plan wants to do the swapping; "off" for none.
        effect: what it does to memory: it "moves" tensors, "recomputes" them, or has "pages" moved.
        rounds: of the provider: with it sums are made in another order than in the control.
        accelerator: "gpu" or "virtual".
        mode: how the models ran: "session", "function" or "eager".
        unswapped: roles in which this flavor has nothing to swap, each with the reason. It is the
            catalog that says so: what a log says could hide that swapping is off.
        straights: the executions of the uninterrupted training, which the last phase resumes.
    """

    scenario: Scenario
    phases: tuple[tuple[Phase, PhaseRecord], ...]
    controls: Mapping[str, PhaseRecord]
    provider: str
    accelerator: str
    mode: Mode = "session"
    effect: Effect = "moves"
    rounds: bool = False
    unswapped: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    straights: tuple[PhaseRecord, ...] = ()

    @cached_property
    def judged(self) -> tuple[tuple[Phase, PhaseRecord], ...]:
        """The phases that checks 2, 3, 5, 6 and 7 look at."""
        return tuple(pair for pair in self.phases if self.scenario.judged(pair[0]))

    @cached_property
    def computing(self) -> tuple[tuple[Phase, PhaseRecord], ...]:
        """The judged phases that train or predict."""
        return tuple(pair for pair in self.judged if pair[0].role != "convert")

    @cached_property
    def swapping(self) -> tuple[tuple[Phase, PhaseRecord], ...]:
        """The judged phases in which LMS has something to do."""
        return tuple(pair for pair in self.computing if pair[0].role not in self.unswapped)

    @property
    def no_lms(self) -> str | None:
        """Why LMS takes no part in the case, or None where it does."""
        return "the plan has LMS off" if self.provider == "off" else self.nothing_to_swap

    @property
    def nothing_to_swap(self) -> str | None:
        """Why LMS has nothing to do in any judged phase, or None where it has."""
        if self.swapping:
            return None
        roles = [phase.role for phase, _ in self.computing]
        return self.unswapped[roles[-1]] if roles else "no judged phase trains or predicts"
