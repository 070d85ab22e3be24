"""The files of a run, reading them back, and the exit code."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from harness.base import atomic
from harness.base.error import HarnessError, UsageError
from harness.history import database
from harness.record import journal, store
from harness.record.checks import Check, CheckId, Status
from harness.record.models import CaseRecord, FlavorRecord
from harness.report import junit, overview, reading, summary, totals
from harness.report.files import reports
from tests import records
from tests.base.test_plain_file import KINDS, other_than_a_file
from tests.records import TF1

CANARY: dict[str, Any] = {"family": "canary", "expects": CheckId.STATE_RESTORED}


def case(*statuses: Status, **values: Any) -> CaseRecord:
    """A case whose first checks have these statuses."""
    names = [CheckId.CAUGHT] if "expects" in values else list(CheckId)
    checks = [
        records.check(name, status, "x") for name, status in zip(names, statuses, strict=False)
    ]
    return records.case(values.pop("scenario", "one"), checks=checks, **values)


PASSED, FAILED, ERROR, SKIPPED = Status.PASSED, Status.FAILED, Status.ERROR, Status.SKIPPED
KNOWN = Status.KNOWN
SKIP = {"checks": [], "skip": "does not apply"}


@pytest.mark.parametrize(
    ("cases", "values", "code"),
    [
        ([case(PASSED)], {}, 0),
        ([case(PASSED, SKIPPED)], {}, 0),
        ([case(PASSED), records.case("two", **SKIP)], {}, 0),
        ([case(PASSED), case(PASSED, **CANARY)], {}, 0),
        ([case(PASSED, **CANARY)], {}, 0),  # only canaries were asked for
        ([case(PASSED), case(FAILED)], {}, 1),
        ([case(PASSED, ERROR, FAILED)], {}, 1),
        ([case(PASSED), case(FAILED, **CANARY)], {}, 1),
        ([case(PASSED), case(PASSED, KNOWN)], {}, 0),
        ([case(KNOWN)], {}, 0),
        ([case(KNOWN), case(PASSED, **CANARY)], {}, 0),
        ([case(KNOWN, FAILED)], {}, 1),
        ([case(KNOWN, ERROR)], {}, 2),
        ([case(KNOWN)], {"strict": True}, 1),
        ([case(PASSED), case(KNOWN, SKIPPED)], {"strict": True}, 1),
        ([case(KNOWN, ERROR)], {"strict": True}, 1),
        ([case(PASSED)], {"strict": True}, 0),
        ([case(FAILED)], {"state": "interrupted"}, 1),
        ([case(PASSED, ERROR)], {}, 2),
        ([case(PASSED), case(ERROR, **CANARY)], {}, 2),
        ([case(PASSED), records.case("two", checks=[])], {}, 2),  # no verdict
        ([case(PASSED)], {"state": "interrupted"}, 2),
        ([case(PASSED)], {"state": "running"}, 2),
        ([], {}, 2),
        ([records.case("two", **SKIP)], {}, 2),  # nothing was judged
        ([case(SKIPPED, SKIPPED)], {}, 2),
        ([case(PASSED, **CANARY), records.case("two", **SKIP)], {}, 2),
        ([case(PASSED)], {"flavors": [FlavorRecord(id="x", unavailable="no Python 3.7")]}, 0),
        ([case(PASSED)], {"flavors": [FlavorRecord(id="x", unavailable="pip", error=True)]}, 2),
        (
            [case(PASSED), records.case("two", "x", **SKIP)],
            {"flavors": [FlavorRecord(id="x", unavailable="pip", error=True)]},
            2,
        ),
    ],
)
def test_exit_code(cases: list[CaseRecord], values: dict[str, Any], code: int) -> None:
    assert totals.exit_code(records.record(cases, **values)) == code


def test_a_green_exit_code_has_no_red_in_junit_and_the_other_way_round(tmp_path: Path) -> None:
    for run in (records.run(), records.green()):
        text = b"".join(path.read_bytes() for path in junit.write(run, tmp_path))
        assert (totals.exit_code(run) == 0) is (b"<failure" not in text and b"<error" not in text)


# --- writing ----------------------------------------------------------------------------------


def test_write_all_writes_every_report(tmp_path: Path) -> None:
    directory = tmp_path / "20250301-100000-3f2a"
    written = reports.write_all(records.run(), directory)
    assert [path.relative_to(directory).as_posix() for path in written] == [
        "record.json",
        "junit/tf1-tfkeras.xml",
        "junit/tf1-keras22.xml",
        "summary.md",
        "index.html",
    ]
    assert all(path.stat().st_size for path in written)
    assert (tmp_path / "latest").readlink() == Path(directory.name)
    assert list((tmp_path / "latest" / "junit").glob("*.xml"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_latest_moves_on_without_touching_what_it_pointed_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("")
    parent = tmp_path / "reports"
    parent.mkdir()
    (parent / "latest").symlink_to(outside)
    for name in ("one", "two"):
        reports.write_all(records.green(), parent / name)
        assert (parent / "latest").readlink() == Path(name)
    assert [path.name for path in outside.iterdir()] == ["keep"]


def test_an_earlier_run_can_be_written_again_without_becoming_the_latest(tmp_path: Path) -> None:
    reports.write_all(records.green(), tmp_path / "new")
    reports.write_all(records.green(), tmp_path / "old", latest=False)
    assert (tmp_path / "latest").readlink() == Path("new")


def test_a_run_named_through_latest_does_not_make_a_loop(tmp_path: Path) -> None:
    reports.write_all(records.green(), tmp_path / "one")
    reports.write_all(store.load(tmp_path / "latest"), tmp_path / "latest")
    assert (tmp_path / "latest").readlink() == Path("one")


def test_a_directory_in_the_place_of_latest_is_an_error_and_the_reports_are_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(HarnessError, match="latest") as caught:
        reports.write_all(records.green(), tmp_path / "one")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "one" / "summary.md").is_file()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: Any, durable: bool = True) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write", full)
    with pytest.raises(HarnessError, match="No space left on device"):
        reports.write_all(records.green(), tmp_path / "one")


def test_a_summary_that_cannot_be_rendered_does_not_lose_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("x")

    monkeypatch.setattr(summary, "markdown", broken)
    assert len(reports.write_all(records.green(), tmp_path / "one")) == 4
    assert "RuntimeError" in (tmp_path / "one" / "summary.md").read_text()


def test_an_atomic_write_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "record.json").symlink_to(target)
    atomic.write(tmp_path / "record.json", "theirs")
    assert target.read_text() == "mine"
    assert (tmp_path / "record.json").read_text() == "theirs"


@pytest.mark.parametrize(
    ("before", "kept"), [("the same", True), ("another", False), ("", False), (None, False)]
)
def test_an_update_writes_what_is_another(tmp_path: Path, before: str | None, kept: bool) -> None:
    path = tmp_path / "page.html"
    if before is not None:
        path.write_text(before)
        os.utime(path, (1, 1))
    assert atomic.update(path, "the same") == path
    assert path.read_text() == "the same"
    assert (path.stat().st_mtime == 1) is kept


def test_an_update_leaves_no_link_in_the_place_of_a_file(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("the same")
    (tmp_path / "page.html").symlink_to(target)
    atomic.update(tmp_path / "page.html", "the same")
    assert not (tmp_path / "page.html").is_symlink()


def test_what_reports_have_in_common_is_gathered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered: list[str] = []

    def counted(name: str, function: Any) -> Any:
        return lambda *given: gathered.append(name) or function(*given)

    monkeypatch.setattr(reading, "total", counted("counts", totals.total))
    monkeypatch.setattr(overview, "gather", counted("overview", overview.gather))
    reports.write_all(records.run(), tmp_path / "run")
    assert gathered == ["counts", "overview"]


def test_an_overview_that_cannot_be_gathered_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("x")

    monkeypatch.setattr(overview, "gather", broken)
    run = tmp_path / "run"
    written = reports.write_all(records.run(), run)
    for name in ("summary.md", "index.html"):
        assert run / name in written
        assert "RuntimeError" in (run / name).read_text()
    assert len(list((run / "cases").glob("*.html"))) == len(records.run().cases)
    assert len(list((run / "junit").glob("*.xml"))) == 2


# --- reading ----------------------------------------------------------------------------------


def test_a_record_is_read_back_as_it_was(tmp_path: Path) -> None:
    store.write(records.run(), tmp_path)
    assert store.load(tmp_path) == records.run()
    assert json.loads((tmp_path / "record.json").read_bytes())["schema_version"] == 1


def test_a_check_is_known_if_it_has_a_defect_and_only_then() -> None:
    known = records.check(CheckId.STATE_RESTORED, KNOWN)
    assert Check.model_validate_json(known.model_dump_json()) == known
    for status in set(Status) - {KNOWN}:
        with pytest.raises(ValueError, match="only then"):
            records.check(CheckId.STATE_RESTORED, status, defect=records.DEFECT)
    with pytest.raises(ValueError, match="only then"):
        Check(id=CheckId.STATE_RESTORED, status=KNOWN, message="x")


def test_a_record_without_known_defects_has_no_word_of_them(tmp_path: Path) -> None:
    store.write(records.run(), tmp_path)
    content = (tmp_path / "record.json").read_text()
    assert '"defect"' not in content
    assert '"strict"' not in content
    assert Check.model_fields.keys() - json.loads(content)["cases"][0]["checks"][0].keys() == {
        *("defect", "phases"),  # the other one is of checks that did not pass
    }


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([PASSED, KNOWN, SKIPPED], KNOWN),
        ([KNOWN, ERROR], ERROR),
        ([KNOWN, FAILED, ERROR], FAILED),
    ],
)
def test_a_known_defect_is_worse_than_a_pass(statuses: list[Status], status: Status) -> None:
    found = case(*statuses)
    assert found.status is status
    assert totals.judge(found, None, "finished").status is status


@given(records.ANYTHING)
@settings(max_examples=60, deadline=None)
def test_a_record_with_any_text_is_written_and_read(tmp_path_factory: Any, text: str) -> None:
    directory = tmp_path_factory.mktemp("run")
    run = records.record(
        [records.case("one", reproduce=text)], notes=[text], host={text: [text, {"a": text}]}
    )
    store.write(run, directory)
    read = store.load(directory)
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert read == run
    assert read.cases[0].scenario == "one"


def test_numbers_that_are_not_finite_stay_json(tmp_path: Path) -> None:
    check = records.check(CheckId.RESULT_UNCHANGED, numbers={"loss": float("nan")})
    store.write(records.record([records.case("one", checks=[check])]), tmp_path)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads((tmp_path / "record.json").read_bytes(), parse_constant=refuse)
    assert store.load(tmp_path).cases[0].checks[0].numbers == {"loss": "NaN"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no record.json"),
        (b"", "not a valid record"),
        (b"[]", "not a valid record"),
        (b"{", "not a valid record"),
        (b"\xff\xfe", "not a valid record"),
        (b"[" * 100_000, "not a valid record"),
        (b'{"schema_version": 1}', "not a valid record: id: Field required"),
        (b'{"schema_version": 2, "unheard": 1}', "schema version 2, this harness reads 1"),
        (b'{"schema_version": "a\\nb"}', "schema version a b, this"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        store.load(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_schema_version_is_refused_even_where_it_would_fit(tmp_path: Path) -> None:
    store.write(records.record([records.case("one")], schema_version=9), tmp_path)
    with pytest.raises(UsageError, match="schema version 9"):
        store.load(tmp_path)


def test_a_directory_in_the_place_of_the_record_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    with pytest.raises(UsageError, match="cannot read"):
        store.load(tmp_path)


def test_the_flavor_of_a_record_need_not_be_listed(tmp_path: Path) -> None:
    run = records.record([records.case("one")], flavors=[])
    reports.write_all(run, tmp_path / "one")
    assert (tmp_path / "one" / "junit" / f"{TF1}.xml").is_file()


def test_a_report_that_cannot_be_written_does_not_keep_the_others_from_it(tmp_path, monkeypatch):
    def refuse(record, run_directory):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "write", refuse)
    with pytest.raises(HarnessError, match=r"cannot write .*: No space left on device$"):
        reports.write_all(records.green(), tmp_path / "run")
    assert (tmp_path / "run" / "summary.md").is_file()
    assert (tmp_path / "run" / "junit" / "tf1-tfkeras.xml").is_file()
    assert (tmp_path / "latest").resolve() == (tmp_path / "run").resolve()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_place_of_a_record_is_not_waited_for(tmp_path, kind):
    other_than_a_file(tmp_path / store.FILE, kind)
    with pytest.raises(UsageError, match=r"^cannot read .*record\.json: "):
        store.load(tmp_path)


def test_a_run_that_was_killed_is_in_the_history_once_it_is_settled(tmp_path):
    running = records.run().model_copy(update={"state": "running"})
    reports.write_all(running, tmp_path / "run")
    (tmp_path / "run" / journal.FILE).touch()
    assert database.load(tmp_path, 20) == {}
    list(reports.settle_killed(tmp_path))
    points = database.load(tmp_path, 20)["tf1-tfkeras.keras_saveload.trainsave-loadtrain"]
    assert [point.run for point in points] == [running.id]
