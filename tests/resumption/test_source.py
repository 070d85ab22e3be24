from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.base.error import UsageError
from harness.record import journal, store
from harness.record.checks import CheckId, Status
from harness.record.models import FlavorRecord, Outcome, RunRecord
from harness.record.origin import ShardRecord
from harness.resumption import source
from harness.resumption.source import Source
from tests import records


def of(**changes: Any) -> Source:
    return Source(Path("none"), records.run().model_copy(update=changes))


def test_what_failed_could_not_be_judged_or_was_never_judged_did_not_pass() -> None:
    def having(scenario: str, status: Status) -> Any:
        check = records.check(CheckId.STATE_RESTORED, status)
        return records.case(scenario, checks=records.checks(state_restored=check))

    cases = [having(status.value, status) for status in Status]
    cases += [records.case("nothing", checks=[]), records.case("skip", checks=[], skip="no GPU")]
    found = of(cases=cases, flavors=[FlavorRecord(id=records.TF1)])
    passed = {name.rpartition(".")[2] for name in found.passed}
    assert passed == {"passed", "known", "skipped", "skip"}
    assert len(found.judged) == len(cases)
    broken = FlavorRecord(id=records.TF1, unavailable="its build broke", error=True)
    again = of(cases=cases, flavors=[broken])
    assert found.passed - again.passed == {case.id for case in cases if case.skip}


@pytest.mark.parametrize("state", ["running", "interrupted", "aborted", "crashed"])
def test_a_run_that_did_not_end_is_open(state: str) -> None:
    of(state=state, phases=[]).require_open()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_finished_run_is_open_where_a_phase_has_no_result(outcome: Outcome) -> None:
    found = of(state="finished", phases=[records.phase("a", outcome=outcome)])
    if outcome in (Outcome.ENGINE_ERROR, Outcome.INTERRUPTED, Outcome.NOT_RUN):
        found.require_open()
    else:
        with pytest.raises(UsageError, match=r"is finished: .* \(FAILED="):
            found.require_open()


def test_a_run_that_was_killed_before_its_last_report_is_open(tmp_path: Path) -> None:
    record: RunRecord = records.run().model_copy(update={"state": "finished", "phases": []})
    store.write(record, tmp_path)
    (tmp_path / journal.FILE).write_text("")
    source.load(tmp_path).require_open()
    journal.remove(tmp_path)
    with pytest.raises(UsageError):
        source.load(tmp_path).require_open()


def test_a_link_to_a_run_is_the_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    store.write(records.run(), tmp_path / "run")
    (tmp_path / "latest").symlink_to("run")
    assert source.load(tmp_path / "latest").directory == tmp_path / "run"
    with pytest.raises(UsageError, match="no run in"):
        source.load(tmp_path)


def test_a_source_says_where_the_run_was() -> None:
    shard = ShardRecord(number=2, count=5)
    record = records.run().model_copy(update={"shard": shard})
    found = source.described(record, {"flavor": {"image": "x"}})
    assert (found.id, found.shard, found.host) == (record.id, "2/5", record.host)
    assert found.flavors == {"flavor": {"image": "x"}}
    assert source.described(records.run()).shard == ""


def made(place: Path, **changes: Any) -> Path:
    place.mkdir(parents=True)
    store.write(records.run().model_copy(update={"id": place.name, **changes}), place)
    return place


def test_a_run_leads_to_the_one_that_it_went_on_with_beside_it(tmp_path: Path) -> None:
    made(tmp_path / "first")
    made(tmp_path / "second", resumes="first")
    third = source.load(made(tmp_path / "third", resumes="second"))
    assert [entry.record.id for entry in third.chain] == ["third", "second", "first"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name", ["../other/run", "/etc", "..", ".", "none", "link", "other", "own"]
)
def test_it_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    made(tmp_path / "other" / "run")
    made(tmp_path / "runs" / "other", id="another")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "other" / "run")
    found = source.load(made(tmp_path / "runs" / "own", resumes=name))
    assert {entry.directory.parent for entry in found.chain} == {tmp_path / "runs"}
    assert {entry.record.id for entry in found.chain} == {"own"}
