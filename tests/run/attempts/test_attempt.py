"""What an attempt has left is kept apart from the next one's."""

from __future__ import annotations

from pathlib import Path

from harness.plan.plan import Task
from harness.record.models import Outcome
from harness.run.attempts.attempt import Execution, not_run, phase_record, put_aside

TASK = Task("k", "f", "x", "s.py", "train", "builtin", {}, {}, None, None, 1.0)


def left(directory: Path, text: str) -> None:
    for name in ("artifacts", "input", "client/artifacts"):
        (directory / name).mkdir(parents=True)
    (directory / "artifacts" / "model").write_text("large")
    (directory / "stdout.log").write_text(text)
    (directory / "client" / "stdout.log").write_text(text)


def test_logs_of_attempts_stay_and_artifacts_go(tmp_path) -> None:
    phase = tmp_path / "phases" / "k"
    left(phase, "first")
    put_aside(phase, 1)
    left(phase, "second")
    put_aside(phase, 2)
    left(phase, "third")
    logs = {
        str(path.relative_to(phase)): path.read_text() for path in sorted(phase.rglob("stdout.log"))
    }
    assert logs == {
        "attempts/1/client/stdout.log": "first",
        "attempts/1/stdout.log": "first",
        "attempts/2/client/stdout.log": "second",
        "attempts/2/stdout.log": "second",
        "client/stdout.log": "third",
        "stdout.log": "third",
    }
    assert [str(path.relative_to(phase)) for path in phase.rglob("model")] == ["artifacts/model"]
    assert [path.name for path in phase.parent.iterdir()] == ["k"]


def test_an_attempt_that_made_no_directory_is_none_to_put_aside(tmp_path) -> None:
    put_aside(tmp_path / "phases" / "k", 1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_told_of_an_attempt() -> None:
    record = phase_record(TASK).model_copy(
        update={"outcome": Outcome.FAILED, "reason": "exit code 1", "duration_s": 2.0}
    )
    first = Execution(record, again="the GPU is lost").attempt()
    assert (first.number, first.outcome, first.reason) == (1, Outcome.FAILED, "the GPU is lost")
    assert first.directory == "phases/k/attempts/1"
    again = Execution(phase_record(TASK, [first]), again="no").attempt()
    assert (again.number, again.directory) == (2, "phases/k/attempts/2")
    assert not_run(TASK, "why").attempts == []
