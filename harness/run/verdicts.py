"""The cases of a run: which phases each still waits for, its verdicts, and what nobody needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.catalog.providers import Provider
from harness.checks import judge
from harness.checks.evidence import Evidence, Reference
from harness.plan.plan import Case, Plan
from harness.record.checks import Check, Status
from harness.record.models import NO_RESULT, CaseRecord, PhaseRecord, PhaseUse
from harness.run import defects

Reproduce = Callable[[str, str, Provider], str]


class Verdicts:
    """Every case of a plan, judged as soon as its phases have ended.

    Args:
        plan: without the flavors that cannot be had.
        accelerator: "gpu" or "virtual".
        reproduce: the command that runs a case by hand, by flavor, scenario and provider.
    """

    def __init__(self, plan: Plan, accelerator: str, reproduce: Reproduce) -> None:
        self._cases = plan.cases
        self._accelerator = accelerator
        self._reproduce = reproduce
        self._judged: dict[str, CaseRecord] = {}
        self._waiting = {case.id: set(case.keys) for case in plan.cases}
        self._ids = tuple(self._waiting)
        self._users: dict[str, list[Case]] = {}
        for case in plan.cases:
            for key in self._waiting[case.id]:
                self._users.setdefault(key, []).append(case)
        self._needed = Counter({key: len(users) for key, users in self._users.items()})

    @property
    def records(self) -> list[CaseRecord]:
        """The cases that have been judged, in the plan's order."""
        return [self._judged[name] for name in self._ids if name in self._judged]

    @property
    def open(self) -> list[Case]:
        """The cases that have not been judged."""
        return [case for case in self._cases if case.id not in self._judged]

    def settle(self, keys: Iterable[str]) -> list[Case]:
        """These tasks have ended; returns the cases that waited for nothing else."""
        found = []
        for key in keys:
            for case in self._users.get(key, ()):
                waiting = self._waiting[case.id]
                if key in waiting:
                    waiting.discard(key)
                    if not waiting:
                        found.append(case)
        return found

    def judge(
        self, case: Case, phases: Mapping[str, PhaseRecord], stopped: bool = False
    ) -> CaseRecord:
        """The case with its checks; a skipped case has none.

        Where phases have no result, and nothing failed, that is one error and not one for each
        check.

        Args:
            stopped: the run was, so that phases may have no result for it, whatever failed.
        """
        record = self._record(case)
        if case.skip is None:
            checks = judge.judge(self._evidence(case, phases))
            if case.scenario.expects is None:
                own = [phases[use.key] for use in case.uses]
                checks = defects.expected(checks, case.known, self._accelerator, own)
                missing = any(phases[key].outcome in NO_RESULT for key in case.keys)
                failed = any(check.status is Status.FAILED for check in checks)
                if missing and (stopped or not failed):
                    checks = _told_once(checks)
                record = record.model_copy(update={"checks": checks})
            else:
                caught = judge.caught(case.scenario, checks)
                record = record.model_copy(update={"checks": [caught], "behind": checks})
        self._judged[record.id] = record
        return record

    def give_up(self) -> None:
        """Records what is not judged as it is: without checks, which reports show as an error."""
        for case in self.open:
            self._judged[case.id] = self._record(case)

    def unneeded(self, case: Case) -> list[str]:
        """Keys of tasks whose artifacts nobody needs since this case was judged.

        Those of a case that did not pass are needed for good: somebody will look at them.
        """
        if self._judged[case.id].status is not Status.PASSED:
            return []
        self._needed.subtract(set(case.keys))
        return [key for key in dict.fromkeys(case.keys) if not self._needed[key]]

    def _record(self, case: Case) -> CaseRecord:
        scenario = case.scenario
        return CaseRecord(
            flavor=case.flavor.id,
            family=scenario.family,
            scenario=scenario.id,
            provider=case.provider.id,
            description=scenario.description,
            phases=list(case.uses),
            expects=scenario.expects,
            skip=case.skip,
            reproduce=self._reproduce(case.flavor.id, scenario.id, case.provider),
        )

    def _evidence(self, case: Case, phases: Mapping[str, PhaseRecord]) -> Evidence:
        by_name = {phase.id: phase for phase in case.scenario.phase}
        return Evidence(
            scenario=case.scenario,
            phases=tuple((by_name[use.name], phases[use.key]) for use in case.uses),
            controls={use.name: phases[use.control] for use in case.uses if use.control},
            references={
                use.name: Reference(
                    name=_reference_name(case, use),
                    record=phases[use.reference],
                    declared=use.reference_declared,
                )
                for use in case.uses
                if use.reference
            },
            provider=case.provider.id,
            effect="moves" if case.way is None else case.way.effect,
            rounds=case.way is not None and case.way.rounds,
            accelerator=self._accelerator,
            mode=case.mode,
            unswapped=case.unswapped,
            straights=tuple(phases[key] for use in case.uses for key in use.straights),
        )


def _told_once(checks: Sequence[Check]) -> list[Check]:
    """The checks with their first error; the others are skipped and name it."""
    first = next((check for check in checks if check.status is Status.ERROR), None)
    if first is None:
        return list(checks)
    told = {"status": Status.SKIPPED, "message": f"not judged: see '{first.id.label}'"}
    return [
        check.model_copy(update=told)
        if check.status is Status.ERROR and check is not first
        else check
        for check in checks
    ]


def _reference_name(case: Case, use: PhaseUse) -> str:
    """The id of the phase that is the reference, or `<phase>-reference` for one of its own."""
    names = {entry.key: entry.name for entry in case.uses}
    return names.get(use.reference or "", f"{use.name}-reference")
