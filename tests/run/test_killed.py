"""A driver that is killed, at any moment: what had ended is in its record."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from harness.record import store
from harness.record.models import Outcome
from tests.small_runs import arguments, checkout, finish, record_of, run_arguments, start, wait_for

_HANGS = """
    import time
    from harness.engine.venv.engine import VenvEngine
    VenvEngine.prepare = lambda *arguments: time.sleep(60)
"""
# Nothing but what is appended at each phase's end.
_NO_WRITES = """
    from harness.run.recording import Recording
    Recording.keep_up = lambda self: None
"""


def killed(command: list[str], when: Path | None, reports: Path, pattern: str = "") -> None:
    """Starts a run and kills it when there is a file."""
    process = start(command)
    wait_for((lambda: when.exists()) if when else lambda: list(reports.glob(pattern)))
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def test_while_it_prepares(tmp_path: Path) -> None:
    root, reports = checkout(tmp_path / "checkout"), tmp_path / "reports"
    killed(run_arguments(root, reports, fault=_HANGS), None, reports, "latest/record.json")
    record = record_of(reports)
    assert record.state == "running"
    assert [flavor.id for flavor in record.flavors] == ["test-flavor"]
    code, out, _ = finish(start(arguments(root, "report", str(reports / "latest"))))
    assert code == 2, out
    assert record_of(reports).state == "aborted"
    assert "killed" in out


def test_phases_that_ended_before_are_in_the_record(tmp_path: Path) -> None:
    there = tmp_path / "there"
    waits = f"open({str(there)!r}, 'w'); import time; time.sleep(60)"
    root = checkout(tmp_path / "checkout", save="print('saved')", load=waits, predict=waits)
    reports = tmp_path / "reports"
    killed(run_arguments(root, reports, "--jobs=1", fault=_NO_WRITES), there, reports)
    assert record_of(reports).phases == []
    record = store.load(reports / "latest")
    assert [phase.outcome for phase in record.phases] == [Outcome.COMPLETED]
    assert record.phases[0].key.endswith(".save")
    # The next run says so, and closes the record.
    for script in (root / "scenarios").rglob("*.py"):
        script.write_text("print('hello')")
    first = (reports / "latest").resolve()
    code, out, err = finish(start(run_arguments(root, reports)))
    assert code == 1, err  # its scripts swap nothing
    assert f"{first.name}: its driver was killed" in out
    closed = store.load(first)
    assert closed.state == "aborted"
    assert [phase.key for phase in closed.phases] == [record.phases[0].key]
    assert (reports / "latest").resolve() != first
    assert list(reports.glob("*/journal.jsonl")) == []


def test_verdicts_that_were_known_are_in_the_record(tmp_path: Path) -> None:
    there = tmp_path / "there"
    waits = f"open({str(there)!r}, 'w'); import time; time.sleep(60)"
    root = checkout(tmp_path / "checkout", load="raise SystemExit(1)", predict=waits)
    reports = tmp_path / "reports"
    killed(run_arguments(root, reports, "--jobs=1", fault=_NO_WRITES), there, reports)
    record = store.load(reports / "latest")
    assert [case.scenario for case in record.cases] == ["save-load"]
    code, out, _ = finish(start(arguments(root, "report", str(reports / "latest"))))
    assert code == 1, out
    assert record_of(reports).cases == record.cases
