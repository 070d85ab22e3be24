"""Check 3: the edit is in what was executed.

An edit that comes after a session, or a trace, has taken over the graph does nothing. A session
says so in a warning. A traced function says nothing: there the graph of the function that was
executed has to be looked at. Where there is no graph, it is what was executed.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.base.text import plural
from harness.catalog.entry import Mode
from harness.checks.evidence import Evidence
from harness.checks.finding import Finding, line, named, skipped
from harness.record.checks import Number, Status
from harness.record.facts import LogFacts, Trace


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each judged phase in which LMS has something to do."""
    reason = evidence.no_lms
    if reason is None and evidence.mode != "session":
        reason = evidence.scenario.about_state  # a session's warnings are there all the same
    if reason is not None:
        return [skipped(reason)]
    if evidence.effect != "moves":
        return [skipped(f"provider {evidence.provider} adds no swaps that could have no effect")]
    return [
        named(
            phase,
            evidence.swapping,
            of_log(phase.id, record.facts, phase.role, evidence.mode),
        )
        for phase, record in evidence.swapping
    ]


def of_log(phase: str, facts: LogFacts, role: str | None = None, mode: Mode = "session") -> Finding:
    """Whether the edit is in what the phase of this log executed.

    Args:
        role: which function counts; by default any.
    """
    harmful = [mutation for mutation in facts.mutations if not mutation.harmless]
    harmless = [mutation for mutation in facts.mutations if mutation.harmless]
    numbers = {"mutations": len(harmful), "harmless_mutations": len(harmless)}
    lines = [line(phase, mutation.line, mutation.text) for mutation in [*harmful, *harmless]]
    if harmful:
        first = harmful[0]
        kind = f" ({first.operation_type})" if first.operation_type else ""
        return Finding(
            Status.FAILED,
            f"{phase}: {plural(len(harmful), 'edit')} came after a session had run the graph and"
            f" had no effect, first at line {first.line}: {first.form} of {first.operation}{kind}",
            numbers,
            lines,
        )
    executed = [entry for entry in facts.traces if role in (None, entry.function)]
    last = executed[-1] if executed else None
    if mode == "eager":
        return _eager_finding(phase, last, role, numbers, lines)
    if mode == "function" or any(entry.graph_swap_out is not None for entry in facts.traces):
        return _function_finding(phase, last, role, numbers, lines)
    if not any(edit.swap_out and edit.swap_in for edit in facts.edits):
        return Finding(Status.ERROR, f"{phase}: no edit to judge", numbers, lines)
    message = f"{phase}: no edit came after a session had run the graph"
    if harmless:
        message += (
            f"; {plural(len(harmless), 'harmless mutation')}, first of {harmless[0].operation}"
        )
    return Finding(Status.PASSED, message, numbers, lines)


def _function_finding(
    phase: str,
    last: Trace | None,
    role: str | None,
    numbers: Mapping[str, Number],
    lines: list[str],
) -> Finding:
    if last is None:
        message = f"{phase}: no trace shows the {role or 'traced'} function that was executed"
        return Finding(Status.ERROR, message, numbers, lines)
    numbers = {
        **numbers,
        "graph_swap_out": last.graph_swap_out,
        "graph_swap_in": last.graph_swap_in,
    }
    if last.graph_swap_out is None or last.graph_swap_in is None:
        message = f"{phase}: the trace does not show the graph of the {last.function} function"
        return Finding(Status.ERROR, message, numbers, lines)
    shown = (
        f"{phase}: the {last.function} function that was executed has {last.graph_swap_out:,}"
        f" swap-out and {last.graph_swap_in:,} swap-in in its graph"
    )
    if last.graph_swap_out == 0 or last.graph_swap_in == 0:
        message = f"{shown}: it was traced before LMS came"
        return Finding(Status.FAILED, message, numbers, lines)
    return Finding(Status.PASSED, shown, numbers, lines)


def _eager_finding(
    phase: str,
    last: Trace | None,
    role: str | None,
    numbers: Mapping[str, Number],
    lines: list[str],
) -> Finding:
    if last is None or last.swap_out is None or last.swap_in is None:
        message = f"{phase}: no trace shows the swaps of a {role or 'traced'} step"
        return Finding(Status.ERROR, message, numbers, lines)
    message = (
        f"{phase}: {last.swap_out:,} swap-out and {last.swap_in:,} swap-in executed in a step;"
        " there is no graph to edit"
    )
    status = Status.PASSED if last.swap_out and last.swap_in else Status.FAILED
    return Finding(status, message, numbers, lines)
