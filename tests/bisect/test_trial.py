"""What a trial says of its version: passed, failed in the stated way, or nothing."""

from __future__ import annotations

import pytest

from harness.bisect import trial
from harness.bisect.trial import Trial, Verdict
from harness.record.checks import Check, CheckId, KnownDefect, Status
from harness.record.models import CaseRecord, FlavorRecord, RunRecord

WEIGHTS = "weights differ: 1 of 2"


def check(status: Status, message: str = WEIGHTS) -> Check:
    defect = KnownDefect(id="a", means="b") if status is Status.KNOWN else None
    numbers = {"tensors": 2}
    return Check(
        id=CheckId.STATE_RESTORED,
        status=status,
        message=message,
        numbers=numbers,
        lines=["load:1: x"],
        defect=defect,
    )


def tried(status: Status, message: str = WEIGHTS) -> Trial:
    complete = Check(id=CheckId.PHASES_COMPLETE, status=Status.PASSED, message="all of them")
    return Trial(version="1", checks=[complete, check(status, message)])


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (Status.PASSED, Verdict.GOOD),
        (Status.FAILED, Verdict.BAD),
        (Status.KNOWN, Verdict.BAD),
        (Status.ERROR, Verdict.NOT_JUDGED),
        (Status.SKIPPED, Verdict.NOT_JUDGED),
    ],
)
def test_a_status_is_a_verdict(status: Status, verdict: Verdict) -> None:
    judged = tried(status).judged(CheckId.STATE_RESTORED, None)
    assert judged.verdict is verdict
    assert judged.message.endswith("state restored: weights differ: 1 of 2")


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [("weights differ", Verdict.BAD), ("^weights", Verdict.BAD), ("optimizer", Verdict.NOT_JUDGED)],
)
def test_another_failure_is_not_the_stated_one(pattern: str, verdict: Verdict) -> None:
    assert tried(Status.FAILED).judged(CheckId.STATE_RESTORED, pattern).verdict is verdict
    passed = tried(Status.PASSED).judged(CheckId.STATE_RESTORED, pattern)
    assert passed.verdict is Verdict.GOOD  # whatever its message is


def test_a_check_that_is_not_there_says_nothing() -> None:
    judged = tried(Status.FAILED).judged(CheckId.RESUME_EQUAL, None)
    assert judged.verdict is Verdict.NOT_JUDGED
    assert judged.message == "has no such check, but phases_complete, state_restored"
    broken = Trial(version="1", problem="no solution").judged(CheckId.RESUME_EQUAL, None)
    assert (broken.verdict, broken.message) == (Verdict.NOT_JUDGED, "no solution")


def test_a_message_is_one_safe_line() -> None:
    judged = tried(Status.FAILED, "a\x1b[2J\n<b>").judged(CheckId.STATE_RESTORED, None)
    assert judged.message.isprintable()


def test_the_first_check_that_fails() -> None:
    assert trial.first_failing(tried(Status.KNOWN)) is CheckId.STATE_RESTORED
    assert trial.first_failing(tried(Status.ERROR)) is None


def record(case: CaseRecord) -> RunRecord:
    provenance = {"packages": "alpha==1 beta==2"}
    flavors = [FlavorRecord(id="other"), FlavorRecord(id="f", provenance=provenance)]
    return RunRecord(
        id="run", state="finished", started="now", engine="venv", accelerator="virtual",
        provider="builtin", flavors=flavors, cases=[case],
    )  # fmt: skip


def test_a_run_becomes_a_trial() -> None:
    case = CaseRecord(flavor="f", family="b", scenario="s", checks=[check(Status.FAILED)])
    made = trial.of_run("1.2", 2, "lock", record(case), 3.21)
    assert (made.version, made.number, made.lock, made.run) == ("1.2", 2, "lock", "run")
    assert (made.seconds, made.packages) == (3.2, ["alpha==1", "beta==2"])
    assert made.checks == [check(Status.FAILED).model_copy(update={"numbers": {}, "lines": []})]
    other = made.model_copy(update={"packages": ["beta==2", "alpha==1"]})
    assert made.package_set == other.package_set != ""
    assert Trial(version="1").package_set == ""


def test_a_flavor_that_could_not_be_had_is_not_judged() -> None:
    skipped = Check(id=CheckId.STATE_RESTORED, status=Status.ERROR, message="no wheel")
    case = CaseRecord(flavor="f", family="b", scenario="s", skip="no wheel", checks=[skipped])
    made = trial.of_run("1", 1, "", record(case), 1.0)
    assert (made.checks, made.problem) == ([], "no wheel")


def test_a_canary_is_looked_at_by_what_is_behind_it() -> None:
    caught = Check(id=CheckId.CAUGHT, status=Status.PASSED, message="caught")
    case = CaseRecord(
        flavor="f", family="b", scenario="s", checks=[caught], behind=[check(Status.FAILED)]
    )
    made = trial.of_run("1", 1, "", record(case), 1.0)
    assert made.judged(CheckId.STATE_RESTORED, None).verdict is Verdict.BAD
    assert made.judged(CheckId.CAUGHT, None).verdict is Verdict.GOOD
