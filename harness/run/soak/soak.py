"""A soak: the repeats of one plan, what differs between them, as text and as an exit code. Pure.

A false alarm is as bad as a miss, so a harness that is worth its name says the same each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from harness.base.error import (
    EXIT_CRASHED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOT_JUDGED,
    EXIT_PASSED,
)
from harness.base.text import clip, one_line, plural
from harness.record.checks import Number
from harness.record.model import Model

ABSENT = "(not there)"
"""The value of a name that another repeat has and this one has not."""

WORST_FIRST = (EXIT_CRASHED, EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED)
"""Exit codes of runs, the worst first."""
_VALUES_SHOWN = 6
_TEXT_SHOWN = 20  # characters of a value that is text, such as a digest


class Seen(Model):
    """A value, and the repeats in which it was seen."""

    value: Number
    repeats: list[int]


class Difference(Model):
    """A value that was not the same in all repeats; the first repeat's comes first."""

    name: str
    seen: list[Seen]


class Repeat(Model):
    """One repeat.

    Attributes:
        number: from 1.
        run: id of the run.
        exit_code: that `harness run` would have ended with.
        differing: verdicts and numbers that are not as in the first repeat.
        directory: of the run, or None where it was removed: all was as in the first, and passed.
    """

    number: int
    run: str
    exit_code: int
    differing: int = 0
    directory: str | None = None


class Soak(Model):
    """The repeats of one plan, and what differs between them.

    Attributes:
        state: "running", "finished", "interrupted", or "aborted" (a repeat could not go on).
        planned: how many repeats were asked for.
        repeats: those that ran to their end; nothing else is compared.
        cases, phases: of the plan.
        parameters: swapping parameters.
        times, samples: names of numbers that are not compared: what was timed, and what was
            sampled beside a GPU.
    """

    id: str
    state: str
    started: str
    finished: str | None = None
    command: str = ""
    engine: str
    accelerator: str
    provider: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    planned: int
    cases: int
    phases: int
    repeats: list[Repeat] = Field(default_factory=list)
    verdicts: list[Difference] = Field(default_factory=list)
    numbers: list[Difference] = Field(default_factory=list)
    times: list[str] = Field(default_factory=list)
    samples: list[str] = Field(default_factory=list)


def deviations(first: Mapping[str, Number], other: Mapping[str, Number]) -> dict[str, Number]:
    """Returns what is not as in the first repeat: name → value, `ABSENT` where there is none."""
    return {
        name: other.get(name, ABSENT)
        for name in {**first, **other}
        if name not in first or name not in other or _text(first[name]) != _text(other[name])
    }


def differences(
    first: Mapping[str, Number], others: Sequence[Mapping[str, Number]]
) -> list[Difference]:
    """Returns what differs between repeats, in the order of the first one's names.

    Args:
        others: of the second repeat and each later one its `deviations` from the first.
    """
    named = {name for other in others for name in other}
    order = [*(name for name in first if name in named), *sorted(named - first.keys())]
    return [_difference(name, first.get(name, ABSENT), others) for name in order]


def _difference(name: str, first: Number, others: Sequence[Mapping[str, Number]]) -> Difference:
    seen: dict[str, Seen] = {}
    for number, value in enumerate([first, *(other.get(name, first) for other in others)], 1):
        seen.setdefault(_text(value), Seen(value=value, repeats=[])).repeats.append(number)
    return Difference(name=name, seen=list(seen.values()))


def _text(value: Number) -> str:
    """A value in full: one that differs in the last bit is another one, and NaN is itself."""
    return json.dumps(value)


def exit_code(soak: Soak) -> int:
    """Returns 0 (nothing differs, all passed), 1 (a check failed, or a verdict differs), 2, 3, 130.

    2: only numbers differ, or something was not judged. 3: the harness itself broke. 130: it was
    interrupted.
    """
    if soak.state == "interrupted":
        return EXIT_INTERRUPTED
    codes = {repeat.exit_code for repeat in soak.repeats}
    codes |= {EXIT_FAILED} if soak.verdicts else set()
    codes |= {EXIT_NOT_JUDGED} if soak.numbers or not soak.repeats else set()
    return min(codes, key=WORST_FIRST.index)


def lines(soak: Soak) -> Iterator[str]:
    """Yields the soak as lines of text: the counts, each difference, what was not compared."""
    if soak.state != "finished":
        yield f"{soak.state}: {len(soak.repeats)} of {plural(soak.planned, 'repeat')} are compared"
    yield (
        f"{plural(len(soak.repeats), 'repeat')} of {plural(soak.cases, 'case')},"
        f" {plural(soak.phases, 'phase')}: {_differ(soak.verdicts, 'verdict')},"
        f" {_differ(soak.numbers, 'number')}"
    )
    for difference in soak.verdicts:
        yield f"verdict  {_line(difference)}"
    for difference in soak.numbers:
        yield f"number   {_line(difference)}"
    left_out = [f"times ({', '.join(soak.times)})"] if soak.times else []
    left_out += [f"samples ({', '.join(soak.samples)})"] if soak.samples else []
    if left_out:
        yield f"not compared: {'; '.join(left_out)}"


def _differ(found: Sequence[Difference], noun: str) -> str:
    return f"{plural(len(found), noun)} {'differs' if len(found) == 1 else 'differ'}"


def _line(difference: Difference) -> str:
    values = [
        f"{_shown(seen.value)} ({len(seen.repeats)}x)" for seen in difference.seen[:_VALUES_SHOWN]
    ]
    more = len(difference.seen) - _VALUES_SHOWN
    if more > 0:
        values.append(f"and {plural(more, 'more value')}")
    return f"{one_line(difference.name)}: {', '.join(values)}"


def _shown(value: Number) -> str:
    if isinstance(value, str):
        return clip(one_line(value), _TEXT_SHOWN)
    return "unknown" if value is None else _text(value)
