"""Which shards make a run: what differs is said, and a record from anywhere is not believed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.base.error import HarnessError, UsageError
from harness.merge import parts
from harness.plan.shards import Shard
from harness.record import store
from harness.record.journal import Journal
from harness.record.models import RunRecord
from tests.merge.shards import execute


@pytest.fixture(scope="module")
def made(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    for number in (1, 2):
        execute(project, place / f"part-{number}", Shard(number, 2))
    return place


@pytest.fixture
def places(made: Path, tmp_path: Path) -> list[Path]:
    """Copies of two shards: their directories."""
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    return [next((tmp_path / f"part-{number}").glob("2*-*")) for number in (1, 2)]


def refused(*places: Path) -> str:
    with pytest.raises(UsageError) as told:
        parts.require_one_run(parts.find(places))
    assert "\n" not in str(told.value)
    return str(told.value)


def edit(directory: Path, **changes: Any) -> RunRecord:
    record = store.load(directory).model_copy(update=changes)
    store.write(record, directory)
    return record


def test_shards_of_one_run_are_told_by_their_numbers(places: list[Path]) -> None:
    found = parts.find(reversed(places))  # type: ignore[arg-type]
    parts.require_one_run(found)
    assert [source.directory for source in found] == places


@pytest.mark.parametrize("what", ["scripts", "data", "harness"])
def test_what_differs_is_named(
    project: Path, tmp_path: Path, places: list[Path], what: str
) -> None:
    other = execute(project, tmp_path / "other", Shard(2, 2), outside={what: "x"})
    assert refused(places[0], other).endswith(f"are not of one run: they differ in {what}")


def test_another_plan_count_or_cut_is_refused(
    project: Path, tmp_path: Path, places: list[Path]
) -> None:
    of_three = execute(project, tmp_path / "three", Shard(2, 3))
    assert "count of shards" in refused(places[0], of_three)
    durations = {f"flavor-{n}.basic.save-load.save": 1.0 if n else 99.0 for n in range(4)}
    other = execute(project, tmp_path / "cut", Shard(2, 2), durations=durations)
    assert refused(places[0], other).endswith("they differ in durations")
    assert refused(edited(other, basis=store.load(places[0]).basis), places[0]).endswith(
        "have not the same cases"
    )
    strict = execute(project, tmp_path / "strict", Shard(2, 2), strict=True)
    assert refused(places[0], strict).endswith("they differ in strict")


def edited(directory: Path, **changes: Any) -> Path:
    edit(directory, **changes)
    return directory


def test_a_shard_that_is_there_twice_is_refused(
    project: Path, tmp_path: Path, places: list[Path]
) -> None:
    again = execute(project, tmp_path / "again", Shard(2, 2))
    assert refused(*places, again).startswith("shard 2/2 is there twice: ")
    assert "there twice" in refused(places[0], places[0])


def test_what_is_no_shard_is_refused(project: Path, tmp_path: Path, places: list[Path]) -> None:
    whole = execute(project, tmp_path / "whole")
    assert "is no shard" in refused(whole, *places)
    (tmp_path / "empty").mkdir()
    assert "no run in" in refused(tmp_path / "empty")
    assert "no run in" in refused(tmp_path / "none")


def test_a_shard_that_goes_on_is_not_merged(places: list[Path]) -> None:
    journal = Journal(places[1])
    try:
        with pytest.raises(HarnessError, match="goes on") as told:
            parts.find(places)
        assert not isinstance(told.value, UsageError)
    finally:
        journal.close(whole=True)


HOSTILE = ["../../etc", "phases/../../etc", "/etc", "phases/x\0y", "phases/other"]


@pytest.mark.parametrize("directory", HOSTILE)
def test_a_directory_that_leads_out_is_refused(places: list[Path], directory: str) -> None:
    record = store.load(places[0])
    phases = [record.phases[0].model_copy(update={"directory": directory}), *record.phases[1:]]
    edit(places[0], phases=phases)
    assert "is not sound: phase" in refused(*places)


@pytest.mark.parametrize("key", ["..", "../x", "a/b", "", "x" * 300, ".hidden"])
def test_a_key_that_is_no_name_is_refused(places: list[Path], key: str) -> None:
    record = store.load(places[0])
    changes = {"key": key, "directory": f"phases/{key}"}
    edit(places[0], phases=[record.phases[0].model_copy(update=changes)])
    assert "is not sound: phase" in refused(*places)


def test_cases_and_phases_of_another_shard_are_refused(places: list[Path]) -> None:
    one, other = (store.load(place) for place in places)
    edit(places[0], cases=[*one.cases, other.cases[0]])
    assert "which is not of this shard" in refused(*places)
    edit(places[0], cases=one.cases, phases=[*one.phases, other.phases[0]])
    assert "both ran" in refused(*places)
    edit(places[0], phases=[*one.phases, one.phases[0]])
    assert "a phase is there twice" in refused(*places)
    edit(places[0], phases=one.phases, cases=[*one.cases, one.cases[0]])
    assert "a case is there twice" in refused(*places)


def test_names_of_cases_that_are_none_are_refused(places: list[Path]) -> None:
    for place in places:
        shard = store.load(place).shard
        assert shard is not None
        cases = {**shard.cases, "<b>.x": 1}
        edit(place, shard=shard.model_copy(update={"cases": cases}))
    assert "is not sound: case" in refused(*places)


def test_a_record_without_a_basis_is_of_no_run(places: list[Path]) -> None:
    for place in places:
        edit(place, basis={})
    assert refused(*places).endswith("they differ in basis")
