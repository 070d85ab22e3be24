from __future__ import annotations

import os
import threading
import time

import pytest

from harness.base.error import UsageError
from harness.cli import judgement
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import LogFacts
from tests import records
from tests.base.test_plain_file import KINDS, other_than_a_file


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


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_place_of_a_log_is_not_waited_for(tmp_path, kind):
    other_than_a_file(tmp_path / "log", kind)
    with pytest.raises(UsageError) as refused:
        judgement.judge([tmp_path / "log"])
    assert str(refused.value).startswith(f"{tmp_path / 'log'}: ")


@pytest.mark.parametrize("size", [0, 1, 100_000])
@pytest.mark.parametrize("before", [True, False])
def test_a_log_may_come_through_a_pipe_with_a_name(tmp_path, size, before):
    """As that of a shell's `<(zcat LOG)`, whether its writer or its reader comes first."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "x\n" * size + "[LMS][0] Added 70 operations to the model (33 swap-out operations"
    text += " (0.1 GiB) and 37 swap-in operations (0.1 GiB))\n"

    def write():
        time.sleep(0 if before else 0.5)
        with pipe.open("w") as file:
            time.sleep(0.3)
            file.write(text)

    writer = threading.Thread(target=write)
    writer.start()
    (judged,) = judgement.judge([pipe])
    writer.join()
    ((_, facts),) = judged.logs
    assert facts.bytes == len(text)
    assert judged.checks[1].status is Status.PASSED
