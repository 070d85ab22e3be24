"""What LMS says that it swaps, and whether what was measured agrees."""

from __future__ import annotations

from harness.base.text import mib
from harness.record.facts import Edit, LogFacts, Trace

# What a training step executes, as a part of what LMS says. Below 1: a graph also holds what only
# other functions run, and operations that are the same are merged; 0.63 is the least of all
# scenarios. Above 1: nothing is executed that was not added, but a report may be of another trace.
LEAST, MOST = 0.55, 1.25


def edits(facts: LogFacts) -> list[Edit]:
    """The edits of a log, each once: markers if there are any, else the lines of TFLMS.

    A provider that writes both says the same twice.
    """
    by_marker = [edit for edit in facts.edits if edit.source == "marker"]
    return by_marker or list(facts.edits)


def largest(facts: LogFacts) -> Edit | None:
    """The edit that swaps most. A phase that edits several functions has one edit for each."""
    return max(edits(facts), key=lambda edit: min(edit.swap_out, edit.swap_in), default=None)


def disagreement(facts: LogFacts, measured: Trace) -> str | None:
    """How a step contradicts what LMS says, in words; None where the two agree.

    Of several edits, one for each function, one has to agree. Only a training step executes most of
    what was added: a graph that also trains holds more than one prediction executes, but never
    less. LMS does not count bytes of tensors whose size is known only as they are made, and
    TFLMS's own lines round: more bytes than it says prove nothing.
    """
    said = largest(facts)
    if said is None or any(_words(edit, measured) is None for edit in edits(facts)):
        return None
    return _words(said, measured)


def _words(said: Edit, measured: Trace) -> str | None:
    trains = measured.function == "train"
    for name in ("swap_out", "swap_in"):
        found, told = getattr(measured, name), getattr(said, name)
        if found is None:
            continue
        words = f"LMS says {told:,} {name.replace('_', '-')} a step, executed were {found:,}"
        if found > MOST * told:
            return f"{words}: more than {MOST:g} of it"
        if trains and found < LEAST * told:
            return f"{words}: less than {LEAST:g} of it"
    moved, said_bytes = measured.bytes_out, said.bytes_out
    if not trains or moved is None or said_bytes is None or said.source != "marker":
        return None
    if moved >= LEAST * said_bytes:
        return None
    return (
        f"LMS says {mib(said_bytes)} out a step, moved were {mib(moved)}: less than {LEAST:g} of it"
    )
