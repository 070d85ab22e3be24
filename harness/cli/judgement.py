"""Verdicts on logs from anywhere: what `harness judge` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.error import EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED, UsageError
from harness.base.text import one_line
from harness.checks import log_alone
from harness.logs import parser
from harness.record.checks import Check, Status
from harness.record.facts import LogFacts

_LINES = 5


@dataclass(frozen=True)
class Judgement:
    """The checks of one log: 1 to 3 as far as it allows, the others skipped with the reason."""

    path: Path
    facts: LogFacts
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        return {
            "log": str(self.path),
            "checks": [check.model_dump(mode="json") for check in self.checks],
            "facts": self.facts.model_dump(mode="json"),
        }


def judge(paths: Sequence[Path]) -> list[Judgement]:
    """Judges each log by itself: the log of one phase, standard output and error together.

    Raises:
        UsageError: a log cannot be read.
    """
    judged = []
    for path in paths:
        try:
            facts = parser.parse(path)
        except OSError as problem:
            raise UsageError(f"{path}: {problem.strerror}") from problem
        judged.append(Judgement(path, facts, tuple(log_alone.judge_log(facts))))
    return judged


def exit_code(judgements: Sequence[Judgement]) -> int:
    """1: some check failed; 2: none failed but one could not be judged, or none applied; else 0."""
    codes = []
    for judgement in judgements:
        statuses = {entry.status for entry in judgement.checks}
        if Status.FAILED in statuses:
            codes.append(EXIT_FAILED)
        elif Status.ERROR in statuses or Status.PASSED not in statuses:
            codes.append(EXIT_NOT_JUDGED)
    for code in (EXIT_FAILED, EXIT_NOT_JUDGED):
        if code in codes:
            return code
    return EXIT_PASSED


def lines(judgements: Sequence[Judgement]) -> Iterator[str]:
    """The verdicts as text."""
    for judgement in judgements:
        yield str(judgement.path)
        yield from verdicts(judgement.checks)


def verdicts(checks: Iterable[Check]) -> Iterator[str]:
    """Each check with its message; below one that did not pass, the log lines behind it."""
    for entry in checks:
        yield f"  {entry.status.value:<8} {entry.id.label:<22} {one_line(entry.message)}"
        if entry.status in (Status.FAILED, Status.ERROR):
            for line in entry.lines[:_LINES]:
                yield f"           {one_line(line, 300)}"
