"""A run that goes on with one whose driver was killed, at every moment that matters."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.base import directory as directories
from harness.base.error import UsageError
from harness.catalog import catalog
from harness.engine.protocol import Exit, Launch
from harness.plan import planner
from harness.record import store
from harness.record.journal import Journal
from harness.record.models import Outcome, RunRecord
from harness.report import totals
from harness.resumption import source
from harness.run import artifacts, run
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent
from tests.equal_runs import require_equal
from tests.projects import lay_out
from tests.run.test_run import good

BASIS = {"scripts": "a"}


def write(launch: Launch) -> Exit | None:
    """A phase that cannot run without what its input has to hold, and leaves two files."""
    if launch.input is not None:
        (launch.input / "model.h5").read_text()
        (launch.input / "other.h5").read_text()
    good(launch)
    (launch.output / "other.h5").write_text("weights")
    return None


def execute(
    root: Path,
    reports: Path,
    play: Callable[[Launch], Exit | None] = write,
    earlier: Path | None = None,
    **changes: Any,
) -> tuple[RunRecord, Path, list[str]]:
    """Runs the plan; the record, the directory, and the keys of what was executed."""
    engine = ScriptedEngine(play)
    settings = Settings(
        root=root,
        reports=reports,
        data=root,
        source=None if earlier is None else source.load(earlier),
        **{"jobs": 1, "basis": BASIS, **changes},
    )
    plan = planner.make(catalog.load(root))
    record, directory = run.execute(plan, engine, settings, None, Silent())
    return record, directory, [launch.key for launch in engine.launches]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "checkout")


@pytest.fixture
def whole(project: Path, tmp_path: Path) -> Path:
    """An undisturbed run."""
    return execute(project, tmp_path / "whole")[1]


class Moments:
    """What a kill would leave of a run, at each moment that something of it has changed."""

    def __init__(self, place: Path, reports: Path) -> None:
        self.left: list[Path] = []
        self._place, self._reports = place, reports

    def take(self) -> None:
        """Keeps the run's directory as it is now."""
        for directory in self._reports.glob("2*-*"):
            target = self._place / str(len(self.left)) / directory.name
            with contextlib.suppress(shutil.Error):  # a temporary file that was renamed meanwhile
                shutil.copytree(directory, target, symlinks=True)
            self.left.append(target)

    def around(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        """Takes a moment before and after each call of a function."""
        function = getattr(owner, name)

        def called(*arguments: Any, **named: Any) -> Any:
            self.take()
            result = function(*arguments, **named)
            self.take()
            return result

        monkeypatch.setattr(owner, name, called)

    def within_removals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Takes a moment between two files of each directory of artifacts that is removed."""
        remove = directories.remove

        def removed(directory: Path) -> bool:
            for path in list(directory.glob("*.h5"))[:1]:
                self.take()
                path.unlink()
                self.take()
            return remove(directory)

        monkeypatch.setattr(directories, "remove", removed)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_to_the_same_reports(
    project: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = Moments(tmp_path / "moments", tmp_path / "killed")

    def watched(launch: Launch) -> Exit | None:
        moments.take()
        ended = write(launch)
        moments.take()
        return ended

    with monkeypatch.context() as patched:
        moments.around(patched, Journal, "_append")
        moments.around(patched, artifacts, "discard")
        moments.within_removals(patched)
        execute(project, tmp_path / "killed", watched)
    assert len(moments.left) > 40
    numbers = Counter()
    for left in moments.left:
        record, directory, executed = execute(project, tmp_path / "resumed", earlier=left)
        require_equal(whole, directory)
        taken = [phase.key for phase in record.phases if phase.taken_from]
        assert sorted([*taken, *executed]) == sorted(phase.key for phase in record.phases)
        assert {phase.taken_from for phase in record.phases} <= {left.name, ""}
        numbers[len(taken)] += 1
        shutil.rmtree(left)  # nothing of it is needed any more
        assert all((directory / "phases" / key / "stdout.log").read_text() for key in taken)
    assert set(numbers) == {0, 1, 2, 3, 4, 5}


def killed(project: Path, reports: Path, after: str) -> Path:
    """What is left of a run whose driver was killed when a phase had ended."""
    place = reports.with_name(f"{reports.name}-killed")
    append = Journal._append

    def kept(journal: Journal, entry: Any) -> None:
        append(journal, entry)
        if entry.phase is not None and entry.phase.key == after:
            directory = next(reports.glob("2*-*"))
            shutil.copytree(directory, place / directory.name, symlinks=True)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "_append", kept)
        execute(project, reports)
    return next(place.iterdir())


LOAD = "test-flavor.basic.save-load.load"
SAVE = "test-flavor.basic.save-load.save"


@pytest.fixture
def left(project: Path, tmp_path: Path) -> Path:
    """A killed run that has the save and its first reader."""
    return killed(project, tmp_path / "before", LOAD)


@pytest.mark.slow
def test_a_run_that_goes_on_is_killed_and_nothing_is_lost(
    project: Path, tmp_path: Path, whole: Path, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = left.parent
    moments = Moments(tmp_path / "moments", reports)
    with monkeypatch.context() as patched:
        moments.around(patched, Journal, "_append")
        moments.around(patched, run._Run, "prepare")
        patched.setattr(Moments, "take", lambda self: _both(self, left))
        execute(project, reports, earlier=left)
    found = [place for place in moments.left if (place / "record.json").exists()]
    assert len(found) > 10
    for place in found:
        record, directory, executed = execute(project, tmp_path / "again", earlier=place)
        require_equal(whole, directory)
        assert len(executed) <= 3
        assert left.name in {entry.id for entry in record.sources}


def _both(moments: Moments, first: Path) -> None:
    """Keeps a run with the one that it goes on with."""
    place = moments._place / str(len(moments.left))
    with contextlib.suppress(shutil.Error):
        shutil.copytree(first.parent, place, symlinks=True)
    moments.left.append(next(path for path in place.glob("2*-*") if path.name != first.name))


def test_what_was_taken_over_is_said_and_marked(project: Path, tmp_path: Path, left: Path) -> None:
    record, directory, executed = execute(project, tmp_path / "reports", earlier=left)
    assert len(executed) == 3
    assert record.notes[0] == (
        f"2 of 5 phases taken over from run {left.name}; 3 phases to run: 3 not completed there"
    )
    (entry,) = record.sources
    assert (entry.id, entry.state) == (left.name, "running")
    assert {phase.key for phase in record.phases if phase.taken_from} == {SAVE, LOAD}
    assert record.notes[0] in (directory / "summary.md").read_text().replace("\n  ", " ")
    suite = (directory / "junit/test-flavor.xml").read_text()
    assert f'name="source.{left.name}" value="2 phases' in suite
    page = (directory / "cases/test-flavor.basic.save-load.html").read_text()
    assert f"in run {left.name}" in page
    assert totals.exit_code(record) == 0


def test_what_is_taken_over_of_a_run_that_took_over_names_who_executed_it(
    project: Path, tmp_path: Path, left: Path
) -> None:
    _, first, _ = execute(project, tmp_path / "reports", earlier=left)
    record, _, executed = execute(project, tmp_path / "reports", earlier=first)
    assert executed == []
    assert {entry.id for entry in record.sources} == {left.name, first.name}
    assert Counter(phase.taken_from for phase in record.phases) == {left.name: 2, first.name: 3}


@pytest.mark.parametrize("what", ["basis", "flavor"])
def test_nothing_of_another_thing_is_taken_over(
    project: Path, tmp_path: Path, left: Path, what: str
) -> None:
    changes: dict[str, Any] = {"basis": {"scripts": "b"}} if what == "basis" else {"jobs": 2}
    if what == "flavor":
        table = project / "scenarios/families/basic/scenarios.toml"
        table.write_text(
            table.read_text().replace('role = "train"', 'role = "train"\ntimeout_s = 7')
        )
    record, _, executed = execute(project, tmp_path / "reports", earlier=left, **changes)
    assert len(executed) == 5
    assert not any(phase.taken_from for phase in record.phases)
    assert "2 other than there" in record.notes[0]
    assert ("(differs: scripts)" in record.notes[0]) is (what == "basis")


def test_artifacts_that_are_gone_are_made_anew_with_all_that_was_read_from_them(
    project: Path, tmp_path: Path, left: Path
) -> None:
    shutil.rmtree(left / "phases" / SAVE / "artifacts")
    record, _, executed = execute(project, tmp_path / "reports", earlier=left)
    assert len(executed) == 5
    assert "1 needed, its artifacts are gone there" in record.notes[0]
    assert "1 after one that runs again" in record.notes[0]


def test_artifacts_of_which_a_part_was_removed_are_gone(
    project: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = Moments(tmp_path / "moments", tmp_path / "killed")
    with monkeypatch.context() as patched:
        moments.within_removals(patched)
        execute(project, tmp_path / "killed")
    for left in moments.left:
        (left / "phases" / LOAD / "stdout.log").unlink()  # so it has to read them again
        _, directory, _ = execute(project, tmp_path / "resumed", earlier=left)
        require_equal(whole, directory)


def test_artifacts_that_nobody_reads_any_more_are_not_missed(project: Path, tmp_path: Path) -> None:
    _, first, _ = execute(project, tmp_path / "reports")
    assert not (first / "phases" / SAVE / "artifacts").exists()
    _, _, executed = execute(project, tmp_path / "reports", earlier=first)
    assert executed == []


def test_links_and_pipes_in_the_old_directory_are_no_phase(
    project: Path, tmp_path: Path, left: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "stdout.log").write_text("secret")
    (secret / "stderr.log").write_text("secret")
    shutil.rmtree(left / "phases" / LOAD)
    (left / "phases" / LOAD).symlink_to(secret)
    (left / "phases" / SAVE / "more.log").symlink_to(secret / "stdout.log")
    record, directory, executed = execute(project, tmp_path / "reports", earlier=left)
    assert LOAD in executed
    assert SAVE not in executed
    assert "1 without all of its files there" in record.notes[0]
    assert not (directory / "phases" / SAVE / "more.log").exists()


def test_a_record_cannot_name_another_directory(project: Path, tmp_path: Path, left: Path) -> None:
    record = store.load(left)
    phases = [phase.model_copy(update={"directory": "../../../etc"}) for phase in record.phases]
    store.write(record.model_copy(update={"phases": phases}), left)
    resumed, _, _ = execute(project, tmp_path / "reports", earlier=left)
    assert {phase.directory for phase in resumed.phases} == {
        f"phases/{phase.key}" for phase in resumed.phases
    }


def test_a_run_that_goes_on_and_a_finished_one_are_not_resumed(
    project: Path, tmp_path: Path, left: Path, whole: Path
) -> None:
    with pytest.raises(UsageError, match="is finished: there is nothing to resume; --failed"):
        source.load(whole).require_open()
    source.load(left).require_open()
    journal = Journal(left)
    try:
        with pytest.raises(UsageError, match="goes on"):
            source.load(left)
    finally:
        journal.close(whole=False)


def test_what_failed_is_not_taken_over(project: Path, tmp_path: Path) -> None:
    def broken(launch: Launch) -> Exit | None:
        return Exit(Outcome.FAILED, 1, "exit code 1") if launch.key == LOAD else write(launch)

    record, first, _ = execute(project, tmp_path / "reports", broken)
    assert totals.exit_code(record) == 1
    resumed, _, executed = execute(project, tmp_path / "reports", earlier=first)
    assert LOAD in executed
    assert totals.exit_code(resumed) == 0
    assert json.loads((first / "record.json").read_text())["state"] == "finished"
