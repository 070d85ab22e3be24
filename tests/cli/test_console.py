from __future__ import annotations

import io
import time

from rich.console import Console

from harness.cli.console import ConsoleObserver
from harness.record.checks import Check, CheckId, Status
from harness.record.models import CaseRecord, Outcome, PhaseRecord
from tests import records
from tests.plan.test_plan import planned


def observer(terminal: bool = False, follow: bool = False, title: str = ""):
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100)
    return ConsoleObserver(console, follow=follow, title=title), output


def phase(key: str, outcome: Outcome = Outcome.COMPLETED, reason: str = "") -> PhaseRecord:
    return PhaseRecord(
        key=key, flavor="f", family="x", script="s", role="train", provider="builtin",
        outcome=outcome, reason=reason, duration_s=1.25, directory="phases/k",
    )  # fmt: skip


def test_plain_lines_without_a_terminal():
    watching, output = observer()
    with watching:
        watching.begin(12)
        watching.phase_finished(phase("a.b.c.save"))
        watching.phase_finished(phase("a.b.c.load", Outcome.FAILED, "exit code 1"))
    first, second = output.getvalue().splitlines()
    assert first.split() == ["[", "1/12]", "completed", "1.2", "s", "a.b.c.save"]
    assert second.endswith("a.b.c.load  exit code 1")


def test_how_many_phases_there_will_be_may_not_be_known():
    watching, output = observer()
    with watching:
        watching.begin(None)
        watching.phase_finished(phase("a.b.c.load.1"))
        watching.phase_finished(phase("a.b.c.load.2"))
    first, second = output.getvalue().splitlines()
    assert first.split()[:2] == ["[1]", "completed"]
    assert second.split()[:2] == ["[2]", "completed"]
    watching, output = observer(terminal=True)
    with watching:
        watching.begin(None)
        watching.phase_finished(phase("a.b.c.load.1"))
    assert "1/?" in output.getvalue()


def test_the_title_of_a_run_stands_with_its_progress():
    watching, output = observer(title="repeat 2 of 20")
    with watching:
        watching.begin(12)
        watching.phase_finished(phase("a.b.c.save"))
    assert output.getvalue().startswith("repeat 2 of 20 [ 1/12] completed")
    watching, output = observer(terminal=True, title="repeat 2 of 20")
    with watching:
        watching.begin(12)
    assert "repeat 2 of 20" in output.getvalue()
    assert "phases" not in output.getvalue()


def test_a_terminal_shows_only_what_did_not_complete():
    watching, output = observer(terminal=True)
    with watching:
        watching.begin(2)
        watching.phase_finished(phase("a.b.c.save"))
        watching.phase_finished(phase("a.b.c.load", Outcome.FAILED, "exit code 1"))
    assert "a.b.c.load  exit code 1" in output.getvalue()
    assert "completed" not in output.getvalue()


def test_what_a_container_printed_cannot_drive_the_terminal():
    watching, output = observer()
    with watching:
        watching.message("red \x1b[31m[bold]text[/bold]\x1b]0;title\x07")
        watching.case_judged(
            CaseRecord(
                flavor="f", family="x", scenario="s",
                checks=[Check(
                    id=CheckId.STATE_RESTORED, status=Status.FAILED, message="bad \x1b[2J[/x]"
                )],
            )
        )  # fmt: skip
    text = output.getvalue()
    assert "\x1b" not in text
    assert "[bold]text[/bold]" in text
    assert "failed f.x.s: state restored: bad [/x]" in text


def test_follow_prints_the_logs_while_they_grow(tmp_path):
    watching, output = observer(follow=True)
    task = next(iter(planned(tmp_path / "checkout").tasks.values()))
    log = tmp_path / "stdout.log"
    with watching, log.open("ab", buffering=0) as stream:
        watching.begin(1)
        watching.phase_started(task, tmp_path)
        stream.write(b"Epoch 1/1\nhalf a ")
        deadline = time.monotonic() + 5
        while "Epoch" not in output.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "half" not in output.getvalue()
        stream.write(b"line \xff\x1b[31m")
        watching.phase_finished(phase(task.key))
    assert "Epoch 1/1\nhalf a line \ufffd" in output.getvalue()


def test_follow_shows_all_of_a_log_that_was_written_at_once(tmp_path):
    """A phase may write more than a look takes in, and end before the next look."""
    watching, output = observer(follow=True)
    task = next(iter(planned(tmp_path / "checkout").tasks.values()))
    lines = [f"line {number} " + "\u00e9\u20ac" * 50 for number in range(14_000)]
    text = "\n".join(lines)
    assert len(text.encode()) > 3 * 2**20
    with watching:
        watching.begin(1)
        watching.phase_started(task, tmp_path)
        (tmp_path / "stdout.log").write_text(text + "\nand its end")
        (tmp_path / "stderr.log").write_text(("also " * 40 + "\n") * 10_000)
        watching.phase_finished(phase(task.key))
    shown = output.getvalue().splitlines()
    assert [line for line in shown if line.startswith("line ")] == lines
    assert shown.count("and its end") == 1
    assert output.getvalue().count("also ") == 400_000


def test_follow_loses_nothing_of_a_line_without_an_end(tmp_path):
    watching, output = observer(follow=True)
    task = next(iter(planned(tmp_path / "checkout").tasks.values()))
    with watching:
        watching.begin(1)
        watching.phase_started(task, tmp_path)
        (tmp_path / "stdout.log").write_text("begin" + "x" * 3_000_000 + "end")
        watching.phase_finished(phase(task.key))
    shown = "".join(output.getvalue().splitlines()[1:])
    assert shown.startswith("begin")
    assert shown.count("x") == 3_000_000
    assert "xend" in shown


def test_a_known_defect_is_told_by_its_id_as_soon_as_it_is_seen():
    watching, output = observer()
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, "[bold]x")
    with watching:
        watching.case_judged(records.case("one", checks=records.checks(state_restored=known)))
    (line,) = output.getvalue().splitlines()
    assert line.startswith("known tf1-tfkeras.keras_saveload.one: state restored: known defect mom")
