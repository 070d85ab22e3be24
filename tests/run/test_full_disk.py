"""A disk of reports that is full: nothing runs on in vain, and nothing that is known is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from harness.record.checks import Status
from harness.record.models import Outcome
from harness.report import totals
from tests.small_disks import fill, mounted
from tests.small_runs import checkout, finish, record_of, run_arguments, start, wait_for

_WAITS = """
    import os, time
    open({there!r} + os.environ["LMS_PROVIDER"], "w")
    time.sleep(90)
"""
_FILLS = """
    import os
    with open(os.path.join(os.environ["OUTPUT_DIR"], "model"), "wb", 0) as file:
        while True:
            file.write(bytes(4096))
"""


# The writer has a session of its own, ignores what it can, and takes what room there is or comes.
_LEAVES_A_WRITER = """
    import os, signal, time
    told, output = os.pipe(), os.environ["OUTPUT_DIR"]
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open({there!r}, "w") as file:
            file.write(str(os.getpid()))
        file = open(os.path.join(output, "more"), "wb", 0)
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                os.write(told[1], b".")
                time.sleep(0.01)
    os.read(told[0], 1)  # the disk is full
"""


def the_line(err: str) -> str:
    (line,) = err.splitlines()
    assert line.startswith("harness: cannot write reports below ")
    assert "No space left on device" in line
    return line


def test_phases_that_run_are_cancelled(tmp_path: Path) -> None:
    """Somebody else fills the disk, while no phase ends."""
    there = tmp_path / "there-"
    waits = _WAITS.format(there=str(there))
    root = checkout(tmp_path / "checkout", load=waits, predict=waits)
    with mounted(tmp_path / "reports", "2m") as reports:
        process = start(run_arguments(root, reports, "--jobs=2"))
        wait_for(lambda: list(tmp_path.glob("there-*")))
        fill(reports)
        began = time.monotonic()
        code, out, err = finish(process)
        assert time.monotonic() - began < 30
        assert code == 2, out
        assert "lacks what came last" in the_line(err)
        assert "not recorded: " in out
        assert record_of(reports).state == "running"  # what could be written


def test_the_last_record_is_written_when_there_is_room_again(tmp_path: Path) -> None:
    there = tmp_path / "there-"
    waits = _WAITS.format(there=str(there))
    root = checkout(tmp_path / "checkout", load=waits, predict=waits)
    with mounted(tmp_path / "reports", "2m") as reports:
        process = start(run_arguments(root, reports, "--jobs=1"))
        wait_for(lambda: list(tmp_path.glob("there-*")))
        filling = fill(reports)

        def make_room() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("stopping: "):
                    time.sleep(1)
                    filling.unlink()

        reader = threading.Thread(target=make_room)
        reader.start()
        code = process.wait(60)
        reader.join()
        assert process.stderr is not None
        assert code == 2
        assert "lacks" not in the_line(process.stderr.read())
        record = record_of(reports)
        assert record.state == "aborted"
        first, second = (phase.outcome for phase in record.phases[:2])
        assert first is Outcome.COMPLETED
        assert second in (Outcome.INTERRUPTED, Outcome.ENGINE_ERROR)
        assert {case.status for case in record.cases} == {Status.ERROR}
        assert any("No space left" in note for note in record.notes)
        assert totals.exit_code(record) == 2
        assert list(reports.glob("*/journal.jsonl")) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_phase_that_fills_the_disk_is_no_failure_of_the_product(
    tmp_path: Path, jobs: int
) -> None:
    root = checkout(tmp_path / "checkout", load=_FILLS)
    with mounted(tmp_path / "reports", "2m") as reports:
        code, out, err = finish(start(run_arguments(root, reports, f"--jobs={jobs}")))
        assert code == 2, out
        assert "No space left on device" in err
        record = record_of(reports)  # its artifacts made room
        assert record.state == "aborted"
        assert Outcome.FAILED not in {phase.outcome for phase in record.phases}
        checks = [check for case in record.cases for check in case.checks]
        assert Status.FAILED not in {check.status for check in checks}


def test_a_child_that_writes_on_when_the_disk_is_full_ends_with_its_phase(tmp_path: Path) -> None:
    there = tmp_path / "writer"
    root = checkout(tmp_path / "checkout", save=_LEAVES_A_WRITER.format(there=str(there)))
    with mounted(tmp_path / "reports", "2m") as reports:
        code, out, err = finish(start(run_arguments(root, reports)))
        assert code == 2, out
        assert "No space left on device" in err
        assert not psutil.pid_exists(int(there.read_text())), "it fills the disk again and again"
        assert record_of(reports).state == "aborted"


def test_a_verdict_that_was_known_is_told_and_recorded(tmp_path: Path) -> None:
    there = tmp_path / "there-"
    waits = _WAITS.format(there=str(there))
    root = checkout(tmp_path / "checkout", load="raise SystemExit(1)", predict=waits)
    with mounted(tmp_path / "reports", "2m") as reports:
        process = start(run_arguments(root, reports, "--jobs=1"))
        wait_for(lambda: list(tmp_path.glob("there-*")))
        fill(reports)
        code, out, _ = finish(process)
        assert code == 2
        assert "failed test-flavor.basic.save-load: phases complete" in out
