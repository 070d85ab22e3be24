"""A plan that is repeated: what is kept, what goes, and what becomes of a soak that is stopped."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.engine.protocol import Launch
from harness.plan import planner
from harness.record import store
from harness.run.settings import Settings
from harness.run.soak import repeater, soak
from harness.run.soak.soak import Soak
from tests.engines import Play, ScriptedEngine, Silent, nap
from tests.projects import lay_out
from tests.run.soak.plays import LOAD, Numbered, failing, measuring
from tests.run.test_run import good


@pytest.fixture
def project(tmp_path):
    return lay_out(tmp_path / "checkout")


def repeat(
    project: Path,
    play: Play,
    repeats: int = 3,
    watch: Callable[[int], Silent] | None = None,
    engine: ScriptedEngine | None = None,
    **changes: object,
) -> Soak:
    made = planner.make(catalog.load(project))
    settings = Settings(
        root=project, reports=project / "reports", data=project, **{"jobs": 1, **changes}
    )
    found, path = repeater.repeat(
        made, engine or ScriptedEngine(play), settings, (),
        lambda number: nullcontext(watch(number) if watch else Silent()), repeats,
    )  # fmt: skip
    assert stored(project) == found
    assert path == project / "reports" / f"soak-{found.id}.json"
    return found


def stored(project: Path) -> Soak:
    (path,) = (project / "reports").glob("soak-*.json")
    return Soak.model_validate_json(path.read_bytes())


def directories(project: Path) -> set[str]:
    """Names of the runs' directories; the link to the latest one leads to one of them."""
    reports = project / "reports"
    assert (reports / "latest").resolve().is_dir()
    return {path.name for path in reports.iterdir() if path.is_dir() and not path.is_symlink()}


def test_equal_repeats_differ_in_nothing_and_only_the_first_is_kept(project):
    found = repeat(project, good, jobs=2)
    assert (found.verdicts, found.numbers, found.state) == ([], [], "finished")
    assert soak.exit_code(found) == 0
    assert [entry.number for entry in found.repeats] == [1, 2, 3]
    assert len({entry.run for entry in found.repeats}) == 3
    assert [entry.directory for entry in found.repeats] == [found.repeats[0].run, None, None]
    assert directories(project) == {found.repeats[0].run}
    assert store.load(project / "reports/latest").id == found.repeats[0].run
    assert (found.cases, found.phases, found.planned) == (2, 5, 3)
    assert {"seconds", "edit_ms", "step_ms"} <= set(found.times)


def test_each_repeat_is_told_and_watched_by_its_number(project):
    watched: dict[int, Silent] = {}
    repeat(project, good, 2, watch=lambda number: watched.setdefault(number, Silent()))
    assert list(watched) == [1, 2]
    assert [len(observer.finished) for observer in watched.values()] == [5, 5]
    (first,), (second,) = (observer.messages for observer in watched.values())
    assert first.startswith("repeat 1 of 2: PASSED: ")
    assert first.endswith(str(stored(project).repeats[0].directory))
    assert second.startswith("repeat 2 of 2: PASSED: ")
    assert second.endswith("; as the first")


def test_a_number_that_changes_is_named_with_its_values(project):
    found = repeat(project, measuring(1.0, 1.0, 2.0, 1.0), 4)
    (number,) = found.numbers
    assert number.name == "test-flavor.basic.save-load.save: metric: noise"
    assert [(seen.value, seen.repeats) for seen in number.seen] == [(1.0, [1, 2, 4]), (2.0, [3])]
    assert found.verdicts == []
    assert soak.exit_code(found) == 2
    assert directories(project) == {found.repeats[0].run, found.repeats[2].run}
    assert [entry.differing for entry in found.repeats] == [0, 0, 1, 0]


def test_a_verdict_that_flips_is_named_and_its_directory_stays(project):
    found = repeat(project, failing(2))
    (verdict, *_) = found.verdicts
    assert verdict.name == "test-flavor.basic.save-predict: phases complete"
    seen = [(entry.value, entry.repeats) for entry in verdict.seen]
    assert seen == [("passed", [1, 3]), ("failed", [2])]
    assert soak.exit_code(found) == 1
    assert [entry.exit_code for entry in found.repeats] == [0, 1, 0]
    assert directories(project) == {found.repeats[0].run, found.repeats[1].run}


def test_a_check_that_fails_each_time_differs_in_nothing_and_is_exit_1(project):
    found = repeat(project, failing(1, 2), 2)
    assert (found.verdicts, found.numbers) == ([], [])
    assert soak.exit_code(found) == 1
    assert directories(project) == {entry.run for entry in found.repeats}


def test_what_breaks_around_a_phase_is_exit_3(project):
    def then(number: int, launch: Launch) -> None:
        if launch.key == LOAD and number == 2:
            raise RuntimeError("boom")

    found = repeat(project, Numbered(then))
    assert soak.exit_code(found) == 3
    assert found.repeats[1].directory is not None


def test_nothing_is_removed_where_artifacts_are_to_be_kept(project):
    found = repeat(project, good, keep=True)
    assert directories(project) == {entry.run for entry in found.repeats}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_repeat_is_not_compared_and_the_others_are(project, number):
    def then(repeat: int, launch: Launch) -> None:
        if launch.key == LOAD and repeat == 3:
            os.kill(os.getpid(), number)
            nap(0.2)

    found = repeat(project, Numbered(then), 5)
    assert (found.state, len(found.repeats)) == ("interrupted", 2)
    assert (found.verdicts, found.numbers) == ([], [])
    assert soak.exit_code(found) == 130
    assert len(directories(project)) == 2  # the first, and the one that was interrupted


def test_a_signal_between_two_repeats_is_an_interruption_too(project):
    class Deadly(Silent):
        def message(self, text: str) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    found = repeat(project, good, watch=lambda number: Deadly())
    assert (found.state, len(found.repeats)) == ("interrupted", 1)


def test_a_soak_that_is_stopped_at_once_keeps_what_was_seen(project):
    class Impatient(Silent):
        def phase_finished(self, record: object) -> None:
            raise KeyboardInterrupt

    found = repeat(project, good, watch=lambda n: Silent() if n == 1 else Impatient())
    assert (found.state, len(found.repeats)) == ("interrupted", 1)


def test_a_repeat_that_cannot_go_on_raises_and_what_was_seen_is_stored(project):
    class Full(ScriptedEngine):
        prepared = 0

        def prepare(self, *arguments: object) -> object:
            self.prepared += 1
            if self.prepared == 2:
                raise OSError(28, "No space left on device")
            return super().prepare(*arguments)  # type: ignore[arg-type]

    with pytest.raises(OSError, match="No space left"):
        repeat(project, good, engine=Full(good))
    found = stored(project)
    assert (found.state, len(found.repeats)) == ("aborted", 1)


def test_what_is_known_is_stored_after_each_repeat(project):
    seen: list[tuple[str, int]] = []

    def then(number: int, launch: Launch) -> None:
        if launch.key == LOAD and number > 1:
            found = json.loads(next((project / "reports").glob("soak-*.json")).read_text())
            seen.append((found["state"], len(found["repeats"])))

    repeat(project, Numbered(then))
    assert seen == [("running", 1), ("running", 2)]
