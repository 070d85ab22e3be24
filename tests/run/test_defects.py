"""What becomes of checks where known defects apply, and runs with a list of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.catalog import catalog
from harness.catalog.defects import Defect, Sighting
from harness.cli.main import cli
from harness.engine.protocol import Launch
from harness.plan import listing, planner
from harness.record import store
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import LogFacts
from harness.record.models import PhaseRecord, RunRecord
from harness.report import totals
from harness.run import defects, run
from harness.run.settings import Settings
from tests.catalog.test_defects import ENTRY, defect, toml
from tests.engines import ScriptedEngine, Silent, write_log
from tests.projects import FAMILY, lay_out
from tests.records import check, phase

STATE = CheckId.STATE_RESTORED
DIFFERS = r"weights differ: \w{8}[^;]* saved, \w{8}[^;]* restored"


def ran_with(**versions: Any) -> PhaseRecord:
    return phase("save", facts=LogFacts(environment={"versions": versions}))


def sightings(*entries: Defect) -> list[Sighting]:
    return [sighting for entry in entries for sighting in entry.sightings]


def state(
    status: Status, *entries: Any, message: str = "optimizer differs", accelerator: str = "virtual"
) -> Check:
    """What becomes of the check of the state, between two others that stay as they are."""
    others = check(CheckId.PHASES_COMPLETE), check(CheckId.SWAPPING_CONFIRMED)
    judged = [others[0], check(STATE, status, message), others[1]]
    first, found, last = defects.expected(
        judged, sightings(*(entries or [defect()])), accelerator, [ran_with(keras="3.12.0")]
    )
    assert (first, last) == others
    return found


def test_a_failure_that_an_entry_states_is_known_and_keeps_what_was_found():
    found = state(Status.FAILED)
    assert found.status is Status.KNOWN
    assert found.message == "optimizer differs"
    assert found.defect == defect().shown


def test_a_failure_with_another_message_is_a_failure():
    found = state(Status.FAILED, message="weights differ")
    assert found == check(STATE, Status.FAILED, "weights differ")


def test_a_pass_is_a_failure_that_asks_for_the_entry_to_go():
    found = state(Status.PASSED, message="all equal")
    assert found.status is Status.FAILED
    assert found.defect is None
    assert found.message == (
        "known defect moments-lost is no longer there: remove the entry (it passed: all equal)"
    )


def test_what_was_skipped_stays_so():
    assert state(Status.SKIPPED) == check(STATE, Status.SKIPPED, "optimizer differs")


def test_what_cannot_be_judged_is_skipped_where_an_entry_states_it():
    """Such as a reference that the release breaks."""
    found = state(Status.ERROR)
    assert found.status is Status.SKIPPED
    assert found.message == "known defect moments-lost: optimizer differs"
    other = state(Status.ERROR, message="its reference, save, did not complete (timed out)")
    assert other.status is Status.ERROR


@pytest.mark.parametrize("status", [Status.PASSED, Status.FAILED])
@pytest.mark.parametrize(
    "values",
    [{"versions": ["keras>=3.13"]}, {"versions": ["torch>=2"]}, {"accelerator": "gpu"}],
)
def test_an_entry_that_does_not_apply_changes_nothing(status, values):
    assert state(status, defect(**values)) == check(STATE, status, "optimizer differs")


@pytest.mark.parametrize("status", [Status.PASSED, Status.FAILED])
def test_an_entry_is_of_its_check_alone(status):
    judged = [check(CheckId.RESULT_UNCHANGED, status, "optimizer differs")]
    known = sightings(defect())
    assert defects.expected(judged, known, "virtual", [ran_with(keras="3.12")]) == judged


def test_a_cause_is_seen_by_every_check_that_its_entry_names():
    cause = defect(also=[{"check": "resume_equal", "message": "weights differ"}])
    judged = [
        check(STATE, Status.FAILED, "optimizer differs"),
        check(CheckId.RESUME_EQUAL, Status.FAILED, "weights differ"),
    ]
    ran = [ran_with(keras="3.12.0")]
    found = defects.expected(judged, sightings(cause), "virtual", ran)
    assert [entry.status for entry in found] == [Status.KNOWN, Status.KNOWN]
    gone = [judged[0], check(CheckId.RESUME_EQUAL)]
    found = defects.expected(gone, sightings(cause), "virtual", ran)
    assert [entry.status for entry in found] == [Status.KNOWN, Status.FAILED]


def test_what_cannot_be_judged_behind_a_known_defect_is_skipped_and_says_why():
    cause = defect(check="phases_complete", message="load phase failed")
    judged = [
        check(CheckId.PHASES_COMPLETE, Status.FAILED, "load phase failed"),
        check(CheckId.RESULT_UNCHANGED, Status.ERROR, "not judged: load phase failed"),
        check(STATE, Status.FAILED, "optimizer differs"),
    ]
    ran = [ran_with(keras="3.12.0")]
    complete, unchanged, restored = defects.expected(judged, sightings(cause), "virtual", ran)
    assert complete.status is Status.KNOWN
    assert unchanged.status is Status.SKIPPED
    assert unchanged.message == (
        "known defect moments-lost breaks a phase: not judged: load phase failed"
    )
    assert restored.status is Status.FAILED  # the log proves it, and no entry states it
    other = [check(CheckId.PHASES_COMPLETE, Status.FAILED, "save phase failed"), *judged[1:]]
    assert defects.expected(other, sightings(cause), "virtual", ran) == other


def test_an_entry_of_one_accelerator_applies_there():
    assert state(Status.FAILED, defect(accelerator="gpu"), accelerator="gpu").status is Status.KNOWN


def test_of_several_entries_the_one_that_matches_is_shown():
    other = defect(id="other", message="weights differ")
    found = state(Status.FAILED, other, defect())
    assert found.defect is not None
    assert found.defect.id == "moments-lost"
    gone = state(Status.PASSED, other, defect())
    assert gone.message.startswith("known defect other, moments-lost is no longer there: remove")
    twice = defect(also=[{"check": "state_restored", "message": "weights differ"}])
    assert state(Status.FAILED, twice, message="weights differ").status is Status.KNOWN
    gone = state(Status.PASSED, twice)
    assert gone.message.startswith("known defect moments-lost is no longer there: remove")


@pytest.mark.parametrize(
    "environment",
    [{}, {"versions": None}, {"versions": ["keras"]}, {"versions": {"keras": 3}}, {"versions": 1}],
)
def test_versions_that_a_script_does_not_tell_are_none(environment):
    assert defects.versions(phase("save", facts=LogFacts(environment=environment))) == {}


# --- runs -------------------------------------------------------------------------------------

CANARY = FAMILY.replace(
    "[[scenario.phase]]", 'expects = "state_restored"\ncaught_in = "load"\n[[scenario.phase]]', 1
)


def play(*, restored: str, version: str = "3.12.0") -> Any:
    """Phases that say what they ran with; a load has weights of this digest, a save has `a`."""

    def played(launch: Launch) -> None:
        stage = "saved" if launch.key.endswith(".save") else "restored"
        digest = ("a" if stage == "saved" else restored) * 64
        events = [
            {"event": "environment", "versions": {"keras": version}},
            {"event": "digest", "of": "weights", "stage": stage, "sha256": digest, "tensors": 8},
            {"event": "done"},
        ]
        write_log(launch, *(f":::LMS {json.dumps(event)}" for event in events))
        (launch.output / "model.h5").write_text("weights")

    return played


def project(root: Path, entry: str | None = None, family: str = FAMILY) -> Path:
    lay_out(root, families={"basic": family})
    if entry is not None:
        (root / "scenarios" / "known-defects.toml").write_text(entry)
    return root


def execute(root: Path, played: Any, **changes: Any) -> tuple[RunRecord, Path]:
    made = planner.make(catalog.load(root))
    settings = Settings(root=root, reports=root / "reports", data=root, jobs=2, **changes)
    return run.execute(made, ScriptedEngine(played), settings, None, Silent())


def states(record: RunRecord) -> dict[str, Check]:
    return {
        case.scenario: found for case in record.cases for found in case.checks if found.id is STATE
    }


def entry(**values: Any) -> str:
    return toml(**{"message": DIFFERS, "scenarios": ["save-load"], **values})


def test_a_known_defect_of_a_run_is_in_every_report_and_is_rebuilt_from_the_record(tmp_path):
    record, directory = execute(project(tmp_path, entry()), play(restored="b"))
    found = states(record)
    assert found["save-load"].status is Status.KNOWN
    assert found["save-load"].message.startswith("weights differ: ")
    assert found["save-predict"].status is Status.FAILED  # the entry is not about it
    assert store.load(directory) == record
    files = [directory / "record.json", directory / "summary.md", *directory.glob("junit/*.xml")]
    before = [file.read_bytes() for file in files]
    assert len(files) == 3
    assert all(b"moments-lost" in content for content in before)
    done = CliRunner().invoke(cli, ["--root", str(tmp_path), "report", directory.name])
    assert f"known defect moments-lost: {ENTRY['means']}" in done.output
    assert [file.read_bytes() for file in files] == before


def test_artifacts_of_a_case_with_a_known_defect_stay(tmp_path):
    family = FAMILY.partition('[[scenario]]\nid = "save-predict"')[0]
    _, directory = execute(project(tmp_path, entry(), family), play(restored="b"))
    key = "test-flavor.basic.save-load.save"
    assert (directory / "phases" / key / "artifacts" / "model.h5").is_file()


def test_a_defect_that_is_gone_fails_its_case(tmp_path):
    record, _ = execute(project(tmp_path, entry()), play(restored="a"))
    found = states(record)
    assert found["save-load"].status is Status.FAILED
    assert found["save-load"].message.startswith("known defect moments-lost is no longer there")
    assert found["save-predict"].status is Status.PASSED
    assert totals.exit_code(record) == 1


def test_versions_are_those_that_the_phases_told(tmp_path):
    record, _ = execute(project(tmp_path, entry()), play(restored="b", version="3.16.0"))
    assert states(record)["save-load"].status is Status.FAILED


def test_a_canary_is_not_excused(tmp_path):
    record, _ = execute(project(tmp_path, entry(scenarios=["save-*"]), CANARY), play(restored="b"))
    (canary,) = [case for case in record.cases if case.expects is not None]
    assert [check.status for check in canary.checks] == [Status.PASSED]  # it is caught
    assert Status.KNOWN not in {check.status for check in canary.behind}


def test_a_strict_run_says_so_in_its_record_alone(tmp_path):
    root = project(tmp_path, entry())
    for strict in (False, True):
        record, directory = execute(root, play(restored="b"), strict=strict)
        assert record.strict is strict
        assert ("strict" in json.loads((directory / "record.json").read_bytes())) is strict
        assert states(record)["save-load"].status is Status.KNOWN


def test_without_the_list_all_is_as_if_there_were_no_such_thing(tmp_path):
    bare, listed = project(tmp_path / "bare"), project(tmp_path / "listed", entry())
    page = listing.page(catalog.load(bare))
    assert listing.page(catalog.load(listed)) == page
    record, directory = execute(bare, play(restored="b"))
    content = json.loads((directory / "record.json").read_bytes())
    assert {key for case in content["cases"] for check in case["checks"] for key in check} == {
        *("id", "status", "message", "numbers", "lines", "phases"),
    }
    assert "strict" not in content
    for file in ("record.json", "summary.md", "junit/test-flavor.xml"):
        assert b"known defect" not in (directory / file).read_bytes().lower()
    other, _ = execute(listed, play(restored="b"))
    excused = states(other).pop("save-load")
    assert states(record)["save-load"] == excused.model_copy(
        update={"status": Status.FAILED, "defect": None}
    )
    assert states(record)["save-predict"] == states(other)["save-predict"]
