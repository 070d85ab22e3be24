"""The checks as far as a log alone allows, with no run around it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.text import clip, mib, plural
from harness.checks import (
    edit_took_effect,
    lms_edited_graph,
    phases_complete,
)
from harness.checks.finding import (
    MESSAGE_CHARACTERS,
    Finding,
    check,
    kinds,
    problem_lines,
    skipped,
    unjudged,
)
from harness.record.checks import Check, CheckId, Status, worst
from harness.record.facts import LogFacts

GRAPH = "graph"  # LMS edits a graph, and says so
ALLOCATOR = "allocator"  # LMS is in TensorFlow's allocator: 2.1 and 2.2, as IBM patched them
OFF = "off"  # a control run
PROVIDERS = (GRAPH, ALLOCATOR, OFF)


def judge_log(facts: LogFacts, provider: str = GRAPH, exit_code: int | None = None) -> list[Check]:
    """The checks as far as a log alone allows: 1 to 3, what it says of 4; the rest is skipped.

    Args:
        facts: of a log from anywhere; its control and its artifacts are unknown.
        provider: which kind of LMS should have been at work, one of `PROVIDERS`.
        exit_code: of what wrote the log, where it is known.
    """
    edit, effect = _lms(facts, provider)
    return [
        check(CheckId.PHASES_COMPLETE, [phases_complete.of_log(facts, exit_code)]),
        check(CheckId.LMS_EDITED_GRAPH, [edit]),
        check(CheckId.EDIT_TOOK_EFFECT, [effect]),
        check(CheckId.STATE_RESTORED, [_restored(facts)]),
        check(
            CheckId.SWAPPING_CONFIRMED, [skipped("a log alone has no control to measure against")]
        ),
        check(CheckId.RESULT_UNCHANGED, [skipped("a log alone has no control to compare with")]),
        check(CheckId.SWAPPING_AS_BEFORE, [skipped("a log alone shows no other phase")]),
        check(CheckId.RESUME_EQUAL, [skipped("a log alone shows no uninterrupted training")]),
    ]


def judge_ranks(ranks: Sequence[tuple[str, Sequence[Check]]]) -> list[Check]:
    """One verdict on several ranks of one run: of each check the worst, said by whom.

    Args:
        ranks: the name of each, such as `rank 0 (a.log)`, and its checks.
    """
    merged = []
    for position, first in enumerate(ranks[0][1]):
        of_ranks = [(name, checks[position]) for name, checks in ranks]
        status = worst(entry.status for _, entry in of_ranks)
        deciding = [(name, entry) for name, entry in of_ranks if entry.status is status]
        findings = [
            Finding(
                status,
                f"{name}: {entry.message}",
                {f"{name}.{number}": value for number, value in entry.numbers.items()},
                [f"{name}: {line}" for line in entry.lines],
            )
            for name, entry in deciding
        ]
        if len(deciding) == len(of_ranks) and status is Status.SKIPPED:
            findings = [Finding(status, first.message)]
        merged.append(check(first.id, findings))
    return merged


def _lms(facts: LogFacts, provider: str) -> tuple[Finding, Finding]:
    """What the log says of checks 2 and 3."""
    if provider == OFF:
        reason = "LMS was not expected to be on"
        return skipped(reason), skipped(reason)
    if provider == ALLOCATOR:
        return _allocator(facts), skipped("an allocator that swaps edits no graph")
    edit = lms_edited_graph.of_log("log", facts)
    silent = not (facts.edits or facts.lms_lines or facts.markers or kinds(facts, "lms_off"))
    if silent and edit.status is Status.FAILED:
        edit = unjudged(f"log: {_silence(facts)}")
    effect = edit_took_effect.of_log("log", facts)
    return edit, skipped(effect.message) if effect.status is Status.ERROR else effect


def _silence(facts: LogFacts) -> str:
    """What a log says in which no line is of LMS."""
    if facts.offloading:
        return (
            f"line {facts.offloading.line} names {facts.offloading.library}, which says nowhere how"
            " much it moved"
        )
    if facts.allocator:
        return (
            f"no line is of LMS that edits a graph, and line {facts.allocator.line} is of an"
            " allocator that swaps: --provider allocator judges that"
        )
    return "no line is of LMS; --no-lms says that it was not to be on"


def _allocator(facts: LogFacts) -> Finding:
    """Whether the allocator's own statistics say that it has swapped."""
    said = facts.allocator
    if said is None:
        return unjudged(
            "log: no statistics of the allocator (BytesReclaimed, NumSingleReclaims,"
            " or tf.experimental.get_bytes_reclaimed)"
        )
    numbers = said.model_dump(exclude={"line"})
    counts = [count for count in numbers.values() if count is not None]
    shown = (
        f"log: the allocator says at line {said.line} that it moved {mib(said.bytes_reclaimed)} to"
        f" the host, {_times(said.single_reclaims)} one tensor, {_times(said.full_reclaims)} all"
    )
    if any(counts):
        return Finding(Status.PASSED, shown, numbers)
    return Finding(Status.FAILED, f"{shown}: it never swapped", numbers)


def _times(count: int | None) -> str:
    return "? times" if count is None else plural(count, "time")


def _restored(facts: LogFacts) -> Finding:
    """What a log says itself of state that was not restored; that it was needs the save phase."""
    lost = kinds(facts, "not_restored")
    reason = "a log alone does not show the phase that saved"
    if not lost:
        return skipped(reason)
    if any(digest.stage == "restored" for digest in facts.digests):
        # The script says itself what it holds; whether that was all is for the case's check.
        return Finding(
            Status.SKIPPED,
            f"{reason}; line {lost[0].line} says that not all of it was restored",
            {"not_restored": len(lost)},
            problem_lines("log", lost),
        )
    return Finding(
        Status.ERROR,
        f"log: state was not restored, line {lost[0].line} says:"
        f" {clip(lost[0].text, MESSAGE_CHARACTERS)}",
        {"not_restored": len(lost)},
        problem_lines("log", lost),
    )
