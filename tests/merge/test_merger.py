"""Shards put together: the run of the whole plan, or never green."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.base.error import EXIT_CRASHED, EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED, EngineError
from harness.comparison import baseline
from harness.engine.protocol import Exit, Launch
from harness.history import database
from harness.merge import merger
from harness.merge.merger import Order
from harness.plan.shards import Shard
from harness.record import store
from harness.record.checks import CheckId, Status
from harness.record.models import Outcome, RunRecord
from harness.report import totals
from tests import records
from tests.engines import unavailable
from tests.equal_runs import findings, junit, require_equal
from tests.merge.shards import execute
from tests.run.test_run import good


@pytest.fixture(scope="module")
def made(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards, each in reports of its own."""
    place = tmp_path_factory.mktemp("made")
    for number in (1, 2, 3):
        execute(project, place / f"part-{number}", Shard(number, 3))
    return place


@pytest.fixture
def parts(made: Path, tmp_path: Path) -> list[Path]:
    """Copies of them: their directories."""
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    return [next((tmp_path / f"part-{number}").glob("2*-*")) for number in (1, 2, 3)]


def merge(tmp_path: Path, *places: Path, **changes: Any) -> tuple[RunRecord, Path]:
    return merger.merge(places, Order(tmp_path / "merged", "harness merge", **changes))


def edit(directory: Path, **changes: Any) -> None:
    """Changes the record of a run."""
    store.write(store.load(directory).model_copy(update=changes), directory)


def test_shards_are_the_run_of_the_whole_plan(
    project: Path, tmp_path: Path, parts: list[Path]
) -> None:
    whole = execute(project, tmp_path / "whole")
    record, directory = merge(tmp_path, *parts)
    one, other = findings(store.load(whole)), findings(record)
    for found in (one, other):  # in the order of cases, which is none of their phases
        found["phases"].sort(key=lambda phase: phase["key"])
        found["host"].pop("engine", None)
    assert one == other
    assert junit(whole) == junit(directory)
    assert totals.exit_code(record) == EXIT_PASSED
    assert store.load(directory) == record
    assert record.state == "finished"
    assert record.shard is None


def test_the_run_stands_without_the_shards(tmp_path: Path, parts: list[Path]) -> None:
    record, directory = merge(tmp_path, *parts)
    for part in parts:
        shutil.rmtree(part)
    for phase in record.phases:
        assert (directory / phase.directory / "stdout.log").read_text()
    assert (tmp_path / "merged" / "latest").resolve() == directory.resolve()


def test_each_phase_says_where_it_ran(tmp_path: Path, parts: list[Path]) -> None:
    edit(parts[1], host={**store.load(parts[1]).host, "hostname": "node-2"})
    record, directory = merge(tmp_path, *parts)
    assert [(entry.id, entry.shard) for entry in record.sources] == [
        (part.name, f"{n}/3") for n, part in enumerate(parts, 1)
    ]
    assert {phase.taken_from for phase in record.phases} == {part.name for part in parts}
    assert record.host["hostname"].endswith(", node-2")
    suite = (directory / "junit/flavor-1.xml").read_text()
    assert f'name="source.{parts[1].name}" value="shard 2/3, 5 phases, hostname node-2' in suite
    page = (directory / "cases/flavor-1.basic.save-load.html").read_text()
    assert f"in run {parts[1].name}" in page
    assert "hostname node-2" in page


def test_the_history_gets_the_run_once(project: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    places = [execute(project, reports, Shard(n, 2)) for n in (1, 2)]
    assert database.load(reports, 9) == {}
    record, _ = merger.merge(places, Order(reports))
    found = database.load(reports, 9)
    assert len(found) == 8
    assert {point.run for points in found.values() for point in points} == {record.id}
    assert (
        database.rebuild([store.load(place) for place in (*places, reports / record.id)], reports)
        == 1
    )


def test_reports_of_shards_are_found_in_their_directory(
    project: Path, tmp_path: Path, parts: list[Path]
) -> None:
    shutil.copytree(parts[0], parts[0].parent / "copy-of-latest")  # as an upload of links makes it
    record, _ = merge(tmp_path, *(part.parent for part in parts))
    assert totals.exit_code(record) == EXIT_PASSED


def test_a_missing_shard_is_never_green(tmp_path: Path, parts: list[Path]) -> None:
    record, directory = merge(tmp_path, parts[0], parts[2])
    assert record.state == "aborted"
    assert totals.exit_code(record) == EXIT_NOT_JUDGED
    assert record.notes[-1] == (
        "shard 2/3 is missing: 2 cases without a verdict:"
        " flavor-1.basic.save-load, flavor-1.basic.save-predict"
    )
    missing = [case for case in record.cases if case.flavor == "flavor-1"]
    assert [case.status for case in missing] == [Status.ERROR] * 2
    suite = (directory / "junit/flavor-1.xml").read_text()
    assert suite.count("<error") == 3  # of each case one, and that the run did not finish
    assert "NOT JUDGED" in (directory / "summary.md").read_text()


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("interrupted", EXIT_NOT_JUDGED),
        ("aborted", EXIT_NOT_JUDGED),
        ("running", EXIT_NOT_JUDGED),
        ("crashed", EXIT_CRASHED),
    ],
)
def test_an_unfinished_shard_is_never_green(
    tmp_path: Path, parts: list[Path], state: str, code: int
) -> None:
    edit(parts[1], state=state, cases=store.load(parts[1]).cases[:1])
    record, _ = merge(tmp_path, *parts)
    assert totals.exit_code(record) == code
    assert record.notes[-1].startswith(
        f"shard 2/3 (run {parts[1].name}) is {state}: 1 case without"
    )


def test_a_finished_shard_that_lacks_a_case_is_never_green(
    tmp_path: Path, parts: list[Path]
) -> None:
    edit(parts[1], cases=[])
    record, _ = merge(tmp_path, *parts)
    assert totals.exit_code(record) == EXIT_NOT_JUDGED
    assert "is finished, and has 2 cases without a verdict" in record.notes[-1]


def test_an_empty_shard_is_sound(project: Path, tmp_path: Path) -> None:
    places = [execute(project, tmp_path / "parts", Shard(n, 5)) for n in range(1, 6)]
    empty = store.load(places[4])
    assert empty.cases == []
    assert totals.exit_code(empty) == EXIT_PASSED
    assert "shard 5/5: 0 of 8 cases, 0 of 20 phases; cases that share" in empty.notes[-1]
    assert totals.exit_code(merge(tmp_path, *places)[0]) == EXIT_PASSED


def test_a_failure_of_one_shard_is_one_of_the_run(project: Path, tmp_path: Path) -> None:
    def play(launch: Launch) -> Exit | None:
        if launch.key == "flavor-2.basic.save-load.load":
            return Exit(Outcome.FAILED, 1, "exit code 1")
        return good(launch)

    places = [execute(project, tmp_path / "parts", Shard(n, 2), play) for n in (1, 2)]
    assert [totals.exit_code(store.load(place)) for place in places] == [EXIT_FAILED, EXIT_PASSED]
    record, directory = merge(tmp_path, *places)
    assert totals.exit_code(record) == EXIT_FAILED
    assert (directory / "phases/flavor-2.basic.save-load.save/artifacts/model.h5").is_file()


@pytest.mark.parametrize(("strict", "code"), [(False, EXIT_PASSED), (True, EXIT_FAILED)])
def test_a_known_defect_and_a_canary_stay_what_they_are(
    tmp_path: Path, parts: list[Path], strict: bool, code: int
) -> None:
    record = store.load(parts[1])
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN)
    first, second = record.cases
    canary = {"expects": CheckId.STATE_RESTORED, "checks": [records.check(CheckId.CAUGHT)]}
    cases = [
        first.model_copy(update={"checks": records.checks(state_restored=known)}),
        second.model_copy(update=canary),
    ]
    edit(parts[1], cases=cases)
    for part in parts:
        edit(part, strict=strict)
    merged, directory = merge(tmp_path, *parts)
    assert totals.exit_code(merged) == code
    assert "1 of 1 canaries caught" in (directory / "summary.md").read_text()
    assert f"known defect {records.DEFECT.id}" in (directory / "junit/flavor-1.xml").read_text()


def test_a_missing_canary_keeps_its_name(tmp_path: Path, parts: list[Path]) -> None:
    for part in parts:
        shard = store.load(part).shard
        assert shard is not None
        canaries = {"flavor-1.basic.save-load": CheckId.STATE_RESTORED}
        edit(part, shard=shard.model_copy(update={"canaries": canaries}))
    _, directory = merge(tmp_path, parts[0], parts[2])
    names = [case[2] for case in junit(directory) if case[1] == "flavor-1.basic.save-load"]
    assert names == [CheckId.CAUGHT.label]


def test_a_flavor_that_one_shard_could_not_have_is_no_pass(project: Path, tmp_path: Path) -> None:
    broken = {"flavor-1": EngineError("its build broke"), "flavor-3": unavailable("no Python")}
    places = [
        execute(project, tmp_path / "parts", Shard(n, 2), missing=broken if n == 2 else None)
        for n in (1, 2)
    ]
    record, _ = merge(tmp_path, *places)
    assert totals.exit_code(record) == EXIT_NOT_JUDGED
    found = {flavor.id: (flavor.unavailable, flavor.error) for flavor in record.flavors}
    assert found["flavor-1"] == ("its build broke", True)
    assert found["flavor-3"] == ("no Python", False)


def test_it_is_compared_with_a_baseline_as_a_whole(
    project: Path, tmp_path: Path, parts: list[Path]
) -> None:
    whole = baseline.of([store.load(execute(project, tmp_path / "whole"))])
    record, directory = merge(tmp_path, *parts, baseline=whole)
    assert record.comparison is not None
    assert not record.comparison.regressed
    assert not record.comparison.only_base
    assert "baseline" in (directory / "summary.md").read_text().lower()


def test_files_that_are_not_there_are_said_and_links_are_not_followed(
    tmp_path: Path, parts: list[Path]
) -> None:
    phases = parts[0] / "phases"
    gone, linked, *_ = sorted(phases.iterdir())
    shutil.rmtree(gone)
    shutil.rmtree(linked)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "stdout.log").write_text("secret")
    linked.symlink_to(tmp_path / "secret")
    record, directory = merge(tmp_path, *parts)
    assert f"the files of 2 phases are not there: {gone.name}, {linked.name}" in record.notes
    assert not (directory / "phases" / linked.name).exists()
    assert totals.exit_code(record) == EXIT_PASSED


def test_a_shard_that_was_gone_on_with_counts_as_the_run_that_did(
    project: Path, tmp_path: Path, parts: list[Path]
) -> None:
    first = store.load(parts[0])
    edit(parts[0], state="aborted", cases=[])
    again = execute(project, parts[0].parent, Shard(1, 3))
    taken = [
        phase.model_copy(update={"taken_from": first.id}) for phase in store.load(again).phases
    ]
    sources = [merger.described(first)]
    edit(again, phases=taken, sources=sources)
    record, _ = merge(tmp_path, parts[0].parent, *parts[1:])
    assert totals.exit_code(record) == EXIT_PASSED
    assert first.id in {phase.taken_from for phase in record.phases}


def test_what_was_merged_can_be_merged_from_where_it_lies(
    tmp_path: Path, parts: list[Path]
) -> None:
    one = merge(tmp_path, *parts)[1]
    other = merge(tmp_path, *reversed(parts))[1]
    require_equal(one, other)
