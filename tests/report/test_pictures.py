"""The pictures of a summary: which cases have one, where it is, and what a directory may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import atomic
from harness.record.checks import CheckId, Status
from harness.record.models import RunRecord
from harness.report import pictures, summary
from harness.report.reading import Reading
from tests import records, timelines


def failed(scenario: str, flavor: str = records.TF1):  # type: ignore[no-untyped-def]
    refuted = records.check(CheckId.SWAPPING_CONFIRMED, Status.FAILED, "refuted")
    return records.case(scenario, flavor, checks=records.checks(swapping_confirmed=refuted))


def laid_out(tmp_path: Path, cases: list) -> RunRecord:  # type: ignore[type-arg]
    record = records.record(cases)
    timelines.lay_out(record, tmp_path)
    return record


def test_a_failed_case_shows_the_memory_of_its_judged_phase(tmp_path: Path) -> None:
    record = laid_out(tmp_path, [failed("one"), records.case("two"), records.case("three")])
    text = summary.write(record, tmp_path).read_text()
    one, two = (
        f"timelines/tf1-tfkeras.keras_saveload.{name}.load.1.svg" for name in ("one", "two")
    )
    problem, rest = text.split("## Cases")
    assert f"![memory over time, phase load]({one})" in problem
    assert f"({two})" in rest.split("## Memory over time")[1]
    assert text.count("![memory over time") == 2  # of what passed, one of a flavor
    assert "46.0 MiB" in (tmp_path / one).read_text()
    assert sorted(path.name for path in (tmp_path / "timelines").iterdir()) == [
        *(Path(name).name for name in (one, two)),
    ]


def test_a_run_without_timelines_has_none(tmp_path: Path) -> None:
    text = summary.write(records.run(), tmp_path).read_text()
    assert "Memory over time" not in text
    assert not (tmp_path / "timelines").exists()


def test_a_handful_of_what_passed(tmp_path: Path) -> None:
    cases = [records.case(f"s{n}", f"flavor-{n // 2}") for n in range(20)]
    made = pictures.write(Reading(laid_out(tmp_path, cases), tmp_path))
    assert list(made) == [f"flavor-{n}.keras_saveload.s{2 * n}" for n in range(pictures.PASSED)]


def test_a_picture_that_is_there_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = laid_out(tmp_path, [records.case("one")])
    first = pictures.write(Reading(record, tmp_path))

    def refuse(path: Path, *_: object) -> Path:
        raise AssertionError(path)

    monkeypatch.setattr(atomic, "write", refuse)
    assert pictures.write(Reading(record, tmp_path)) == first


def test_a_full_disk_leaves_the_picture_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    record = laid_out(tmp_path, [failed("one")])
    monkeypatch.setattr(atomic, "write", full)
    assert pictures.write(Reading(record, tmp_path)) == {}


@pytest.mark.parametrize("scenario", ["../../up", "a b", "<img src=x>", "x" * 300, "a)b"])
def test_a_record_that_names_its_cases_oddly(tmp_path: Path, scenario: str) -> None:
    record = records.record([failed(scenario)])
    phases = [
        phase.model_copy(update={"directory": f"phases/{number}"})
        for number, phase in enumerate(record.phases)
    ]
    record = record.model_copy(update={"phases": phases})
    timelines.lay_out(record, tmp_path / "run")
    assert pictures.write(Reading(record, tmp_path / "run")) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_link_in_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    record = records.record([failed("one")])
    timelines.lay_out(record, run)
    (run / "timelines").symlink_to(elsewhere)
    assert pictures.write(Reading(record, run)) == {}
    assert not list(elsewhere.iterdir())
