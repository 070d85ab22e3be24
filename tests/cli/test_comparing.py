"""`harness compare`, `baseline` and `history`, and a run that is given a baseline."""

from __future__ import annotations

import json
import os

import click
import pytest

from harness.base.error import UsageError
from harness.cli.main import cli
from harness.comparison import comparison
from harness.history import database
from harness.record import store
from harness.record.checks import CheckId, Status
from harness.report.files import reports
from harness.run import machine
from tests import records
from tests.base.test_plain_file import KINDS, other_than_a_file
from tests.engines import ScriptedEngine
from tests.projects import lay_out
from tests.run.soak.plays import failing
from tests.run.test_run import good

CASE = "tf1-tfkeras.keras_saveload.one"
LATE = records.check(CheckId.EDIT_TOOK_EFFECT, Status.FAILED, "37 operations, too late")


def keep(root, run, *cases, **values):
    """A run below the reports of a checkout, and in its history."""
    record = records.record(list(cases) or [records.case("one")], id=run, **values)
    reports.write_all(record, root / "reports" / run)
    database.add(record, root / "reports")


def broken():
    return records.case("one", checks=records.checks(edit_took_effect=LATE))


@pytest.fixture
def command(capsys):
    """Runs a command in this process; its exit code and standard output."""

    def run(root, *arguments):
        code = cli.main(["--root", str(root), *map(str, arguments)], standalone_mode=False)
        return code, capsys.readouterr().out

    return run


def test_a_fault_is_exit_1_and_named_first(tmp_path, command):
    keep(tmp_path, "good", records.case("one"), records.case("two"))
    keep(tmp_path, "bad", records.case("two"), broken())
    code, text = command(tmp_path, "compare", "good", "bad")
    assert code == 1
    lines = [line for line in text.splitlines() if line]
    assert lines[0].startswith("REGRESSED: 1 newly failing; 16 checks")
    assert lines[1:4] == [
        "newly failing: 1",
        f"  {CASE}",
        "    edit took effect was passed; now: 37 operations, too late",
    ]


def test_no_change_is_exit_0_and_a_run_is_found_by_latest_too(tmp_path, command):
    keep(tmp_path, "good")
    code, text = command(tmp_path, "compare", "good", "latest")
    assert code == 0
    assert text.startswith("no regression: nothing changed; 8 checks")


def test_what_could_be_judged_and_no_longer_is_is_exit_2(tmp_path, command):
    keep(tmp_path, "good")
    unjudged = records.check(CheckId.RESULT_UNCHANGED, Status.ERROR, "no result")
    keep(tmp_path, "bad", records.case("one", checks=records.checks(result_unchanged=unjudged)))
    assert command(tmp_path, "compare", "good", "bad")[0] == 2


def test_the_comparison_is_for_machines_and_for_pages_too(tmp_path, command):
    keep(tmp_path, "good")
    keep(tmp_path, "bad", broken())
    code, text = command(tmp_path, "compare", "good", "bad", "--json")
    document = json.loads(text)
    assert (code, document["regressed"], document["failing"][0]["case"]) == (1, True, CASE)
    code, text = command(tmp_path, "compare", "good", "bad", "--markdown")
    assert (code, text.splitlines()[2]) == (1, "### newly failing: 1")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("none", "none is not there: name a run"),
        ("README.md", "is not a valid record"),
        (".", "holds no record.json"),
    ],
)
def test_what_is_no_run_is_one_line(tmp_path, monkeypatch, command, base, message):
    keep(tmp_path, "good")
    (tmp_path / "README.md").write_text("text")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        command(tmp_path, "compare", base, "good")


def test_a_run_is_accepted_into_a_file_that_runs_are_compared_with(tmp_path, command):
    keep(tmp_path, "good")
    keep(tmp_path, "bad", broken())
    file = tmp_path / "accepted" / "virtual.json"
    code, text = command(tmp_path, "baseline", "accept", "good", "--output", file)
    assert (code, text.endswith("virtual.json: 1 case of good\n")) == (0, True)
    assert command(tmp_path, "compare", file, "good")[0] == 0
    assert command(tmp_path, "compare", file, "bad")[0] == 1
    before = file.read_bytes()
    command(tmp_path, "baseline", "accept", "good", "--output", file)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"state": "interrupted"},
            "run bad is interrupted: look at it, and accept it with --force",
        ),
        ({}, "run bad did not pass: look at it, and accept it with --force"),
    ],
)
def test_a_run_that_nobody_should_take_for_good_takes_force(tmp_path, command, values, message):
    keep(tmp_path, "bad", *([records.case("one")] if values else [broken()]), **values)
    file = tmp_path / "baseline.json"
    with pytest.raises(UsageError, match=message):
        command(tmp_path, "baseline", "accept", "bad", "--output", file)
    assert not file.exists()
    assert command(tmp_path, "baseline", "accept", "bad", "--force", "--output", file)[0] == 0
    assert file.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_takes_the_place_of_nothing_but_a_file(tmp_path, command, kind):
    keep(tmp_path, "good")
    place = tmp_path / "baseline.json"
    other_than_a_file(place, kind)
    before = place.lstat()
    with pytest.raises((UsageError, click.BadParameter), match="is a"):
        command(tmp_path, "baseline", "accept", "good", "--output", place)
    assert place.lstat() == before


def test_a_baseline_is_no_run_to_accept(tmp_path, command):
    keep(tmp_path, "good")
    file = tmp_path / "accepted.json"
    command(tmp_path, "baseline", "accept", "good", "--output", file)
    with pytest.raises(UsageError, match="is a baseline, and no run: name the run itself"):
        command(tmp_path, "baseline", "accept", file, "--output", tmp_path / "other.json")


@pytest.mark.parametrize("rebuild", [[], ["--rebuild"]])
@pytest.mark.parametrize("kind", ["nothing", "FIFO"])
def test_a_history_of_what_is_no_directory_is_refused(tmp_path, command, kind, rebuild):
    place = tmp_path / "resports"
    if kind == "FIFO":
        os.mkfifo(place)
    with pytest.raises(UsageError, match="resports: is no directory"):
        command(tmp_path, "history", "--reports", place, *rebuild)
    assert not place.is_dir()


def test_the_history_shows_each_case_or_one_in_full(tmp_path, command):
    keep(tmp_path, "first", started="2025-03-01T10:00:00Z")
    keep(tmp_path, "second", broken(), started="2025-03-02T10:00:00Z")
    code, text = command(tmp_path, "history")
    assert code == 0
    assert text.splitlines()[1].split()[:2] == [CASE, ".F"]
    _, text = command(tmp_path, "history", "*.one")
    assert "second  failed" in text
    assert "37 operations, too late" in text
    _, text = command(tmp_path, "history", CASE, "--last", "1", "--json")
    (point,) = json.loads(text)[CASE]
    assert (point["run"], point["status"]) == ("second", "failed")
    with pytest.raises(UsageError, match="has a case none"):
        command(tmp_path, "history", "none")


def test_the_history_is_made_again_from_the_records(tmp_path, command, capsys):
    keep(tmp_path, "first")
    keep(tmp_path, "second", started="2025-03-02T10:00:00Z")
    broken_run = tmp_path / "reports" / "third"
    broken_run.mkdir()
    (broken_run / "record.json").write_text("{")
    (tmp_path / "reports" / database.FILE).write_bytes(b"damaged" * 100)
    assert database.recent(tmp_path / "reports") == {}
    cli.main(["--root", str(tmp_path), "history", "--rebuild"], standalone_mode=False)
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[:2] == [CASE, ".."]
    assert err.splitlines()[0].startswith("left out: ")
    assert err.splitlines()[1].startswith("2 runs in ")


def test_no_history_is_said(tmp_path, command):
    assert command(tmp_path, "history") == (0, "no run is in the history\n")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `harness run` over an engine that plays; its exit code, output and record."""

    root = lay_out(tmp_path / "checkout")

    def execute(play, *options, **environ):
        monkeypatch.setattr(
            machine, "choose", lambda *given: machine.Machine(ScriptedEngine(play), (), ())
        )
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = cli.main(
            ["--root", str(root), "run", "--flavors=test-flavor", "--jobs=1", *options],
            standalone_mode=False,
        )
        return code, capsys.readouterr().out, store.load(root / "reports" / "latest")

    return execute


def test_a_run_tells_what_is_another_than_in_its_baseline(run, tmp_path):
    code, text, first = run(good)
    assert code == 0
    assert "compared with" not in text
    assert first.comparison is None
    code, text, second = run(failing(1), "--baseline", first.id)
    assert code == 1
    assert second.comparison.base == [first.id]
    assert second.comparison.regressed
    assert f"compared with {first.id}" in text.replace("\n ", "")
    directory = tmp_path / "checkout" / "reports" / second.id
    assert "REGRESSED" in (directory / "summary.md").read_text()
    assert "baseline.comparison" in next((directory / "junit").iterdir()).read_text()
    rebuilt = reports.rebuild(directory)
    assert rebuilt.comparison == second.comparison


def test_a_baseline_that_cannot_be_read_ends_before_anything_runs(run, tmp_path):
    played = []
    with pytest.raises(UsageError, match="is not there: name a run"):
        run(played.append, "--baseline=none")
    assert played == []
    assert not (tmp_path / "checkout" / "reports").exists()


def test_a_comparison_that_breaks_is_a_note_and_loses_no_record(run, monkeypatch):
    _, _, first = run(good)
    monkeypatch.setattr(comparison, "compare", lambda *sides: 1 / 0)
    code, text, record = run(good, "--baseline", first.id)
    assert (code, record.comparison) == (0, None)
    assert "note: the run could not be compared with its baseline: ZeroDivisionError" in text


def test_every_run_is_in_the_history(run, tmp_path):
    for play in (good, failing(1)):
        run(play)
    found = database.load(tmp_path / "checkout" / "reports", 20)
    points = found["test-flavor.basic.save-predict"]
    assert [point.status for point in points] == [Status.PASSED, Status.FAILED]


def test_a_damaged_history_is_a_note_and_changes_no_verdict(run, tmp_path):
    place = tmp_path / "checkout" / "reports"
    place.mkdir(parents=True)
    (place / database.FILE).write_bytes(b"damaged" * 100)
    code, text, record = run(good)
    assert code == 0
    (note,) = record.notes
    assert note.startswith("this run is not in the history: ")
    assert "`harness history --rebuild` makes it again" in note
    assert "note: this run is not in the history" in text


def test_on_github_a_run_has_annotations_and_a_summary_and_no_log_gives_commands(run, tmp_path):
    summary = tmp_path / "step-summary"
    code, text, record = run(failing(1), GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert code == 1
    lines = text.splitlines()
    assert lines[0].startswith("::stop-commands::")
    resumed = lines.index(f"::{lines[0].removeprefix('::stop-commands::')}::")
    annotated = lines[resumed + 1 :]
    assert annotated
    assert all(line.startswith("::error title=") for line in annotated)
    assert not any(line.startswith("::error") for line in lines[:resumed])
    assert summary.read_text().startswith("# FAILED: ")
    assert record.id in summary.read_text()


def test_a_summary_of_a_step_that_cannot_be_written_changes_no_verdict(run, tmp_path):
    code, text, _ = run(
        good, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "none" / "file")
    )
    assert code == 0
    assert "note: cannot write the summary of the step" in text
