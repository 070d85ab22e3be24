"""Check 2: LMS edited the graph, in both directions, by what the log of the phase says."""

from __future__ import annotations

from harness.base.text import clip, mib, phrase, plural
from harness.checks.evidence import Evidence
from harness.checks.finding import (
    MESSAGE_CHARACTERS,
    Finding,
    kinds,
    line,
    named,
    problem_lines,
    skipped,
    unjudged,
)
from harness.checks.swaps import self_report
from harness.record.checks import Status
from harness.record.facts import Edit, LogFacts
from harness.record.models import Outcome


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each judged phase in which LMS has something to do."""
    reason = evidence.no_lms
    if reason is not None:
        return [skipped(reason)]
    findings = []
    for phase, record in evidence.swapping:
        finding = of_log(phase.id, record.facts)
        silent = not record.facts.edits and not kinds(record.facts, "lms_off")
        if silent and record.outcome is not Outcome.COMPLETED:
            # It may have ended before LMS had its turn.
            finding = unjudged(finding.message)
        findings.append(named(phase, evidence.swapping, finding))
    return findings


def of_log(phase: str, facts: LogFacts) -> Finding:
    """Whether LMS edited a graph in the phase of this log."""
    off = kinds(facts, "lms_off")
    edits = self_report.edits(facts)
    lines = [line(phase, edit.line, edit.text) for edit in edits]
    if off:
        return Finding(
            Status.FAILED,
            f"{phase}: LMS is off, line {off[0].line}:"
            f" {phrase(clip(off[0].text, MESSAGE_CHARACTERS))}",
            {"edits": len(edits)},
            [*problem_lines(phase, off), *lines],
        )
    if not edits:
        already = kinds(facts, "lms_already_edited")
        message = f"{phase}: no line says that LMS edited the graph"
        if already:
            message += f", only that it was edited before (line {already[0].line})"
        return Finding(Status.FAILED, message, {"edits": 0}, problem_lines(phase, already))
    best = self_report.largest(facts) or edits[0]
    numbers = {
        "edits": len(edits),
        "operations": best.operations,
        "swap_out": best.swap_out,
        "swap_in": best.swap_in,
        "bytes_out": best.bytes_out,
        "bytes_in": best.bytes_in,
        "edit_ms": best.milliseconds,
        **({"recomputed": best.recomputed} if best.recomputed else {}),
    }
    message = f"{phase}: {_edit_words(best)}"
    if len(edits) > 1:
        message += f" (the largest of {len(edits)} edits)"
    if not best.recomputed and (best.swap_out == 0 or best.swap_in == 0):
        return Finding(
            Status.FAILED, f"{message}: nothing is swapped in both directions", numbers, lines
        )
    return Finding(Status.PASSED, message, numbers, lines)


def _edit_words(edit: Edit) -> str:
    def direction(count: int, size: int | None, word: str) -> str:
        return f"{count:,} {word}" + (f" ({mib(size)})" if size is not None else "")

    if edit.recomputed:
        return f"{plural(edit.recomputed, 'layer')} computed again in a step"
    return (
        f"{plural(edit.operations, 'operation')} added,"
        f" {direction(edit.swap_out, edit.bytes_out, 'swap-out')},"
        f" {direction(edit.swap_in, edit.bytes_in, 'swap-in')}"
        + (f", {edit.milliseconds:.0f} ms" if edit.milliseconds is not None else "")
    )
