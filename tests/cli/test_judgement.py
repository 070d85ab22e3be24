from __future__ import annotations

import pytest

from harness.base.error import UsageError
from harness.cli import judgement
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import LogFacts
from tests import records


def judged(path, *statuses: Status) -> judgement.Judgement:
    checks = tuple(
        Check(id=identity, status=status, message="m", lines=["stdout:1: bad\x1b[31m"])
        for identity, status in zip(CheckId, statuses, strict=False)
    )
    return judgement.Judgement(((str(path), LogFacts()),), checks)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([Status.PASSED, Status.SKIPPED], 0),
        ([Status.PASSED, Status.FAILED], 1),
        ([Status.ERROR, Status.FAILED], 1),
        ([Status.PASSED, Status.ERROR], 2),
        ([Status.SKIPPED, Status.SKIPPED], 2),  # nothing was judged: no pass
    ],
)
def test_exit_code(tmp_path, statuses, code):
    assert judgement.exit_code([judged(tmp_path, *statuses)]) == code


def test_the_worst_log_decides(tmp_path):
    good, bad = judged(tmp_path, Status.PASSED), judged(tmp_path, Status.FAILED)
    assert judgement.exit_code([good, bad]) == 1


def test_lines_are_safe_for_a_terminal(tmp_path):
    text = "\n".join(judgement.lines([judged(tmp_path, Status.FAILED)]))
    assert "bad" in text
    assert "\x1b" not in text


def test_a_log_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="Is a directory"):
        judgement.judge([tmp_path])


def test_a_known_defect_stands_below_what_was_found():
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, "optimizer differs")
    first, second = judgement.verdicts([known])
    assert first.split() == ["known", "state", "restored", "optimizer", "differs"]
    assert second.strip().startswith("known defect moments-lost: ")
