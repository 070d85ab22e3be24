"""What is kept of a log: facts within fixed bounds, since a log may hold any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from harness.logs import markers
from harness.logs.lines import LINE_LIMIT, Lines
from harness.record.facts import (
    AllocatorStatistics,
    Claim,
    Digest,
    Edit,
    LogFacts,
    Metric,
    Mutation,
    Offloading,
    Problem,
    Trace,
)
from harness.record.times import Moment, StepSeries, Times

FACTS_LIMIT = 10_000  # metrics
EDITS_LIMIT = 1_000  # edits; traces; claims
SAME_LIMIT = 50  # mutations, and problems of one kind
DIGESTS_LIMIT = 8  # digests of one thing at one stage
NOTES_LIMIT = 100
SERIES_LIMIT = 16  # steps over time
MOMENTS_LIMIT = 500  # of one event

_FactT = TypeVar("_FactT")
_LineT = TypeVar("_LineT", Mutation, Problem, Digest)


class Kept:
    """The facts of a log; of too many the first and the last.

    Attributes:
        dropped: facts that were not kept.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.done = False
        self.edits: list[Edit] = []
        self.metrics: list[Metric] = []
        self.printed: list[Metric] = []  # metrics that no marker says
        self.allocator: AllocatorStatistics | None = None
        self.lms_lines = 0
        self.offloading: Offloading | None = None
        self._handled: list[Problem] = []
        self._mutations: dict[bool, list[Mutation]] = {False: [], True: []}  # by harmless
        self._problems: dict[str, list[Problem]] = {}
        self._digests: dict[tuple[str, str], list[Digest]] = {}
        self._traces: list[Trace] = []
        self._claims: list[Claim] = []
        self._series: list[StepSeries] = []
        self._moments: dict[str, list[Moment]] = {}
        self._environment: dict[str, object] = {}
        self._notes: list[str] = []

    def facts(self, marked: int, source: Lines) -> LogFacts:
        """Everything together.

        Args:
            marked: markers in the log.
            source: what was read.
        """
        notes = []
        if source.cut:
            notes = [f"{source.cut} lines of the log are longer than {LINE_LIMIT} bytes: cut"]
        return LogFacts(
            lines=source.newlines + (not source.ended),
            bytes=source.bytes,
            markers=marked,
            no_text=source.no_text,
            edits=self.edits,
            mutations=_by_line(self._mutations.values()),
            problems=_by_line(self._problems.values()),
            handled=_by_line([self._handled]),
            allocator=self.allocator,
            lms_lines=self.lms_lines,
            offloading=self.offloading,
            metrics=self.metrics or self.printed,
            digests=_by_line(self._digests.values()),
            traces=self._traces,
            claims=self._claims,
            environment=self._environment,
            notes=[*self._notes, *notes],
            done=self.done,
            dropped=self.dropped,
            times=Times(
                moments=[moment for told in self._moments.values() for moment in told],
                series=self._series,
            ),
        )

    def fact(self, fact: markers.Fact) -> None:
        """Keeps what a marker says."""
        if isinstance(fact, Edit):
            self.edit(fact)
        elif isinstance(fact, Metric):
            self._keep(self.metrics, fact, FACTS_LIMIT)
        elif isinstance(fact, Digest):
            same = self._digests.setdefault((fact.of, fact.stage), [])
            self._keep(same, fact, DIGESTS_LIMIT)
        elif isinstance(fact, Trace):
            self._keep(self._traces, fact, EDITS_LIMIT)
        elif isinstance(fact, StepSeries):
            self._keep(self._series, fact, SERIES_LIMIT)
        elif isinstance(fact, Claim):
            self._keep(self._claims, fact, EDITS_LIMIT)
        elif isinstance(fact, markers.EnvironmentFacts):
            self._environment.update(fact.facts)
        elif isinstance(fact, markers.Note):
            self.note(fact.text)
        elif isinstance(fact, markers.Done):
            self.done = True

    def edit(self, edit: Edit) -> None:
        """Keeps a report of an edit."""
        self._keep(self.edits, edit, EDITS_LIMIT)

    def moment(self, moment: Moment) -> None:
        """Keeps when a marker was written; of too many of one event the first and the last."""
        told = self._moments.setdefault(moment.event, [])
        if len(told) < MOMENTS_LIMIT:
            told.append(moment)
        else:
            told[-1] = moment

    def mutation(self, mutation: Mutation) -> None:
        """Keeps a mutation; harmless ones do not crowd out others."""
        self._keep(self._mutations[mutation.harmless], mutation, SAME_LIMIT)

    def problem(self, problem: Problem) -> None:
        """Keeps a problem; kinds do not crowd each other out."""
        self._keep(self._problems.setdefault(problem.kind, []), problem, SAME_LIMIT)

    def handled(self, problem: Problem) -> None:
        """Keeps a problem after which the program went on."""
        self._keep(self._handled, problem, SAME_LIMIT)

    def retract(self, problem: Problem) -> None:
        """Takes back a problem, if it was kept."""
        found = self._problems.get(problem.kind, [])
        if problem in found:
            found.remove(problem)

    def statistics(self, counts: Mapping[str, int], line: int) -> None:
        """Keeps the latest statistics of the swapping allocator."""
        before = self.allocator.model_dump() if self.allocator else {}
        self.allocator = AllocatorStatistics(**{**before, **counts, "line": line})

    def full(self, kind: str) -> bool:
        """Whether enough problems of a kind are kept."""
        return len(self._problems.get(kind, ())) >= SAME_LIMIT

    def metric(self, metric: Metric) -> None:
        """Keeps a metric that a script printed."""
        self._keep(self.printed, metric, SAME_LIMIT)

    def note(self, text: str) -> None:
        """Keeps a note once."""
        if text not in self._notes:
            self._keep(self._notes, text, NOTES_LIMIT)

    def _keep(self, facts: list[_FactT], fact: _FactT, limit: int) -> None:
        if len(facts) < limit:
            facts.append(fact)
        else:
            facts[-1] = fact
            self.dropped += 1


def _by_line(groups: Iterable[list[_LineT]]) -> list[_LineT]:
    return sorted((fact for group in groups for fact in group), key=lambda fact: fact.line)
