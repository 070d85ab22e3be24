"""Check 5: swapping is measured, not believed.

Three sources: *self-reported* is what LMS says it moved, *measured* is what a meter outside LMS
saw, the *control* is the same phase with LMS off. The meter of the virtual accelerator is the
framework's own record of one step (`swaps.step`), that of a GPU is NVML beside it (`swaps.gpu`).
A step of jax may have been compiled for a GPU that is not there as well (`swaps.compiled`).
Where a provider computes tensors again it is the peak alone that tells (`swaps.recomputation`).

Verdicts: `confirmed`; `refuted`, a failure; `inconclusive`, an error and never a pass.
"""

from __future__ import annotations

from harness.catalog.scenarios import Phase
from harness.checks.evidence import Evidence
from harness.checks.finding import Finding, line, named, skipped
from harness.checks.result_unchanged import broken_control
from harness.checks.swaps import compiled, gpu, recomputation, step
from harness.checks.swaps.verdict import Verdict
from harness.record.checks import Status
from harness.record.models import PhaseRecord

# NVML counts pages that the driver manages as nobody's.
_PAGES = "no meter sees pages that the driver moves: a ceiling proves them (`harness prove`)"
_STATUS = {
    "confirmed": Status.PASSED,
    "refuted": Status.FAILED,
    "inconclusive": Status.ERROR,
}


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each judged phase; each message starts with its verdict."""
    if evidence.scenario.about_state is not None:
        return [skipped(evidence.scenario.about_state)]
    if not evidence.scenario.control:
        return [skipped("the scenario has no control to measure against")]
    if evidence.provider == "off":
        return [skipped("the plan has LMS off")]
    if evidence.nothing_to_swap is not None:
        return [skipped(evidence.nothing_to_swap)]
    if evidence.effect == "pages":
        return [skipped(_PAGES)]
    found = []
    for phase, record in evidence.swapping:
        verdict = _verdict(evidence, phase, record)
        finding = Finding(
            _STATUS[verdict.word],
            f"{verdict.word}: {phase.id}: {verdict.message}",
            verdict.numbers,
            [line(phase.id, number, text) for number, text in verdict.lines],
        )
        found.append(named(phase, evidence.swapping, finding))
    return found


def _verdict(evidence: Evidence, phase: Phase, record: PhaseRecord) -> Verdict:
    control = evidence.controls.get(phase.id)
    reason = broken_control(control)
    if control is None or reason is not None:
        return Verdict("inconclusive", reason or "there is no control", {})
    facts = phase.role, record.facts, control.facts
    again = evidence.effect == "recomputes"
    if evidence.accelerator == "gpu":
        of_gpu = recomputation.judge_gpu if again else gpu.judge
        return of_gpu(*facts, record.samples, control.samples)
    if again:
        return recomputation.judge(*facts)
    return compiled.judge(phase.role, step.judge(*facts), *facts[1:])
